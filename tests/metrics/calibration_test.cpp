// Calibration against hand-made cases and pairs drawn from the model itself.
#include "dmoerm/metrics/calibration.h"

#include <gtest/gtest.h>

#include <cmath>

#include "dmoerm/core/error.h"
#include "dmoerm/core/random.h"

namespace dmoerm::metrics {
namespace {

double logit(double p) {
  return std::log(p / (1 - p));
}

TEST(Calibration, CountsByHand) {
  // Predicted 0.9 three times, right twice; predicted 0.6 once, wrong; one tie.
  const std::vector<double> differences = {logit(0.9), logit(0.9), -logit(0.9), -logit(0.6), 0};
  const Calibration result = calibration(differences, 10);
  ASSERT_EQ(result.bins.size(), 3u);
  EXPECT_EQ(result.pairs, 5);
  EXPECT_NEAR(result.bins[0].right, 0.5, 1e-12);
  EXPECT_NEAR(result.bins[0].predicted, 0.5, 1e-12);
  EXPECT_NEAR(result.bins[2].right, 2.0 / 3, 1e-12);
  EXPECT_NEAR(result.bins[2].predicted, 0.9, 1e-12);
  EXPECT_NEAR(result.expected_error, (0 + 0.6 + 3 * (0.9 - 2.0 / 3)) / 5, 1e-12);
  EXPECT_NEAR(result.log_loss, -(2 * std::log(0.9) + std::log(0.1) + std::log(0.4) + std::log(0.5)) / 5,
              1e-12);
  EXPECT_NEAR(result.brier, (2 * 0.01 + 0.81 + 0.36 + 0.25) / 5, 1e-12);
}

TEST(Calibration, IsSmallForPairsDrawnFromTheModel) {
  RandomStream random(2, "test");
  std::vector<double> differences;
  for (int i = 0; i < 20000; ++i) {
    const double x = 1.5 * random.normal();
    differences.push_back(random.chance(1 / (1 + std::exp(-x))) ? x : -x);
  }
  EXPECT_LT(calibration(differences).expected_error, 0.015);
  EXPECT_NEAR(best_scale(differences), 1, 0.05);
  for (double& difference : differences) difference *= 4;  // too sure
  EXPECT_GT(calibration(differences).expected_error, 0.1);
  EXPECT_NEAR(best_scale(differences), 0.25, 0.0125);
}

TEST(Calibration, BestScaleHasEnds) {
  EXPECT_LT(best_scale(std::vector<double>{-1, -2}), 1e-9);  // always wrong
  EXPECT_GT(best_scale(std::vector<double>{1, 2}), 700);     // always right: as large as makes a difference
  EXPECT_TRUE(std::isfinite(calibration(std::vector<double>{1e300, -1e300}).expected_error));
}

TEST(Calibration, RefusesNothingAndNaN) {
  EXPECT_THROW(calibration({}), Error);
  EXPECT_THROW(best_scale({}), Error);
  EXPECT_THROW(calibration(std::vector<double>{NAN}), Error);
}

TEST(Calibration, DifferencesOfPairsOfDifferentRank) {
  std::vector<double> differences;
  add_differences(std::vector<double>{5, 3, 3}, std::vector<int64_t>{2, 1, 1}, differences);
  EXPECT_EQ(differences, (std::vector<double>{-2, -2}));
}

}  // namespace
}  // namespace dmoerm::metrics
