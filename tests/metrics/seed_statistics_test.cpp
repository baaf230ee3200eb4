// Means and paired differences against tables of Student's t.
#include "dmoerm/metrics/seed_statistics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "dmoerm/core/error.h"

namespace dmoerm::metrics {
namespace {

TEST(SeedStatistics, MeanDeviationAndInterval) {
  const SeedMean mean = seed_mean(std::vector<double>{1, 2, 3});
  EXPECT_NEAR(mean.mean, 2, 1e-12);
  EXPECT_NEAR(mean.deviation, 1, 1e-12);
  EXPECT_NEAR(mean.interval.high - mean.mean, 4.302653 / std::sqrt(3.0), 1e-5);  // t(0.975; 2)
  EXPECT_NEAR(mean.mean - mean.interval.low, 4.302653 / std::sqrt(3.0), 1e-5);
  const SeedMean eight = seed_mean(std::vector<double>{0, 0, 0, 0, 1, 1, 1, 1});
  EXPECT_NEAR(eight.interval.high - 0.5, 2.364624 * std::sqrt(2.0 / 7) / std::sqrt(8.0),
              1e-5);  // t(0.975; 7)
}

TEST(SeedStatistics, OneSeedHasNoInterval) {
  const SeedMean mean = seed_mean(std::vector<double>{0.7});
  EXPECT_EQ(mean.mean, 0.7);
  EXPECT_TRUE(std::isnan(mean.interval.low));
  EXPECT_TRUE(std::isnan(paired_difference(std::vector<double>{1}, std::vector<double>{0}).p));
  EXPECT_THROW(seed_mean({}), Error);
}

TEST(SeedStatistics, PairedDifference) {
  // Differences 1, 2, 3: t = 2 sqrt(3) = 3.4641 with 2 degrees of freedom, p = 0.0742.
  const PairedDifference found =
      paired_difference(std::vector<double>{11, 22, 33}, std::vector<double>{10, 20, 30});
  EXPECT_NEAR(found.difference.mean, 2, 1e-12);
  EXPECT_NEAR(found.p, 0.07418, 1e-5);
  const PairedDifference other =
      paired_difference(std::vector<double>{10, 20, 30}, std::vector<double>{11, 22, 33});
  EXPECT_NEAR(other.p, found.p, 1e-12);
  EXPECT_NEAR(other.difference.mean, -2, 1e-12);
}

TEST(SeedStatistics, DifferencesThatDoNotVary) {
  EXPECT_EQ(paired_difference(std::vector<double>{1, 1}, std::vector<double>{1, 1}).p, 1);
  EXPECT_EQ(paired_difference(std::vector<double>{2, 2}, std::vector<double>{1, 1}).p, 0);
}

}  // namespace
}  // namespace dmoerm::metrics
