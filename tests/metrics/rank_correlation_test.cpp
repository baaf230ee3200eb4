// Rank correlation against worked values and the formula without ties.
#include "dmoerm/metrics/rank_correlation.h"

#include <gtest/gtest.h>

#include <cmath>

#include "dmoerm/core/random.h"

namespace dmoerm::metrics {
namespace {

using Values = std::vector<double>;

TEST(RankCorrelation, EqualValuesShareTheirMeanRank) {
  EXPECT_EQ(average_ranks(Values{3, 1, 3, 2}), (Values{3.5, 1, 3.5, 2}));
  EXPECT_EQ(average_ranks(Values{7, 7, 7}), (Values{2, 2, 2}));
  EXPECT_TRUE(average_ranks(Values{}).empty());
}

TEST(RankCorrelation, WithoutTiesIsOneMinusTheSquaredRankDistances) {
  RandomStream random(1, "ranks");
  constexpr int n = 200;
  Values x, y;
  for (int i = 0; i < n; ++i) {
    x.push_back(random.normal());
    y.push_back(0.4 * x.back() + random.normal());
  }
  const Values a = average_ranks(x), b = average_ranks(y);
  double distance = 0;
  for (int i = 0; i < n; ++i) distance += (a[i] - b[i]) * (a[i] - b[i]);
  EXPECT_NEAR(rank_correlation(x, y), 1 - 6 * distance / (n * (n * n - 1.0)), 1e-12);
}

TEST(RankCorrelation, OnlyTheOrderCounts) {
  EXPECT_NEAR(rank_correlation(Values{1, 2, 4, 8}, Values{-9, 0, 1, 100}), 1, 1e-12);
  EXPECT_NEAR(rank_correlation(Values{1, 2, 4, 8}, Values{3, 2, 1, 0}), -1, 1e-12);
  EXPECT_NEAR(rank_correlation(Values{1, 1, 2, 2}, Values{1, 2, 3, 4}), 2 / std::sqrt(5.0), 1e-12);
}

TEST(RankCorrelation, AConstantListHasNone) {
  EXPECT_EQ(rank_correlation(Values{1, 1, 1}, Values{1, 2, 3}), 0);
  EXPECT_EQ(rank_correlation(Values{5}, Values{5}), 0);
  EXPECT_EQ(rank_correlation(Values{}, Values{}), 0);
}

}  // namespace
}  // namespace dmoerm::metrics
