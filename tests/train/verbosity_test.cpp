// The verbosity penalty: smallest, in both directions, with ties and with few answers.
#include "dmoerm/train/verbosity.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "dmoerm/core/random.h"
#include "dmoerm/metrics/rank_correlation.h"

namespace dmoerm::train {
namespace {

using Values = std::vector<double>;

double correlation_left(const Values& rating, const Values& length, double penalty) {
  Values rest;
  for (size_t i = 0; i < rating.size(); ++i) rest.push_back(rating[i] - penalty * length[i]);
  return metrics::rank_correlation(rest, length);
}

// Whole lengths, so that there are ties, standardised roughly; ratings that grow with them by `slope`.
std::pair<Values, Values> answers(double slope, int count = 3000) {
  RandomStream random(7, "verbosity");
  Values rating, length;
  for (int i = 0; i < count; ++i) {
    length.push_back((static_cast<double>(random.below(60)) - 29.5) / 17.3);
    rating.push_back(slope * length.back() + random.normal());
  }
  return {rating, length};
}

TEST(VerbosityPenalty, IsTheSmallestThatIsEnough) {
  for (const double slope : {0.2, 1.0, 30.0, -0.7}) {
    const auto [rating, length] = answers(slope);
    const double penalty = verbosity_penalty(rating, length);
    EXPECT_EQ(std::signbit(penalty), std::signbit(slope));
    EXPECT_LE(std::abs(correlation_left(rating, length, penalty)), 0.03);
    EXPECT_GT(std::abs(correlation_left(rating, length, penalty * (1 - 2e-5))), 0.0299);
    EXPECT_GT(std::abs(correlation_left(rating, length, 0.98 * penalty)), 0.0305);
    EXPECT_NEAR(penalty, slope, 0.1);  // what length adds to the rating
  }
}

TEST(VerbosityPenalty, HasTheRatingsUnit) {
  auto [rating, length] = answers(1);
  const double penalty = verbosity_penalty(rating, length);
  for (double& value : rating) value *= 1e-6;
  EXPECT_NEAR(verbosity_penalty(rating, length), 1e-6 * penalty, 1e-11);
}

TEST(VerbosityPenalty, TheCorrelationNeverRises) {
  const auto [rating, length] = answers(0.5, 300);
  for (double penalty = -2, before = 1; penalty < 2; penalty += 0.01) {
    const double now = correlation_left(rating, length, penalty);
    EXPECT_LE(now, before + 1e-12);
    before = now;
  }
}

TEST(VerbosityPenalty, IsZeroWhereNothingIsToBeDone) {
  const auto [rating, length] = answers(0);
  EXPECT_EQ(verbosity_penalty(rating, length, 0.1), 0);
  EXPECT_EQ(verbosity_penalty(Values{1, 2, 3}, Values{0, 0, 0}), 0);
  EXPECT_EQ(verbosity_penalty(Values{2, 2, 2}, Values{-1, 0, 1}), 0);
  EXPECT_EQ(verbosity_penalty(Values{}, Values{}), 0);
  EXPECT_EQ(verbosity_penalty(Values{1}, Values{0}), 0);
}

TEST(VerbosityPenalty, OfTwoAnswersIsWhereTheyChangePlaces) {
  EXPECT_NEAR(verbosity_penalty(Values{0, 3}, Values{-1, 1}), 1.5, 1e-5);
  EXPECT_NEAR(verbosity_penalty(Values{3, 0}, Values{-1, 1}), -1.5, 1e-5);
}

}  // namespace
}  // namespace dmoerm::train
