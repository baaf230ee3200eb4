// The best-of-n estimator against brute force over all subsets, and closed forms.
#include "dmoerm/metrics/best_of_n.h"

#include <gmock/gmock.h>

#include <bit>
#include <cmath>
#include <numeric>

#include "dmoerm/core/error.h"
#include "dmoerm/core/random.h"

namespace dmoerm::metrics {
namespace {

using testing::ElementsAre;

// Mean over all subsets of n answers of the value of the best by proxy; equal ones share it.
double brute_force(const std::vector<double>& proxy, const std::vector<double>& value, int n) {
  double sum = 0, subsets = 0;
  for (unsigned mask = 0; mask < 1u << proxy.size(); ++mask) {
    if (std::popcount(mask) != n) continue;
    double best = -INFINITY, total = 0, count = 0;
    for (size_t i = 0; i < proxy.size(); ++i)
      if (mask >> i & 1) best = std::max(best, proxy[i]);
    for (size_t i = 0; i < proxy.size(); ++i)
      if ((mask >> i & 1) && proxy[i] == best) total += value[i], count += 1;
    sum += total / count;
    subsets += 1;
  }
  return sum / subsets;
}

TEST(BestOfN, EqualsBruteForceOverAllSubsets) {
  RandomStream random(1, "test");
  for (int size = 1; size <= 9; ++size)
    for (const bool ties : {false, true}) {
      std::vector<double> proxy, value;
      for (int i = 0; i < size; ++i) {
        proxy.push_back(ties ? static_cast<double>(random.below(3)) : random.normal());
        value.push_back(random.normal());
      }
      std::vector<int64_t> all(size);
      std::iota(all.begin(), all.end(), 1);
      const std::vector<double> found = best_of_n_values(proxy, value, all);
      for (int n = 1; n <= size; ++n)
        EXPECT_NEAR(found[n - 1], brute_force(proxy, value, n), 1e-9) << size << " answers, n " << n;
    }
}

// For proxy = value = 1 … N the expected maximum of n without replacement is n (N + 1) / (n + 1).
TEST(BestOfN, IsExactForManyAnswers) {
  std::vector<double> values(12500);
  std::iota(values.begin(), values.end(), 1);
  const std::vector<int64_t> n = {1, 2, 10, 1000, 12499, 12500};
  const std::vector<double> found = best_of_n_values(values, values, n);
  for (size_t i = 0; i < n.size(); ++i) {
    const double expected = static_cast<double>(n[i]) * 12501 / static_cast<double>(n[i] + 1);
    EXPECT_NEAR(found[i] / expected, 1, 1e-9) << n[i];
  }
}

TEST(BestOfN, KlOfThePolicy) {
  EXPECT_EQ(best_of_n_kl(1), 0);
  EXPECT_NEAR(best_of_n_kl(4), std::log(4.0) - 0.75, 1e-15);
  EXPECT_NEAR(best_of_n_kl(12500), 8.4335, 1e-4);
}

TEST(BestOfN, ScheduleGrowsAndEndsWithAll) {
  EXPECT_THAT(best_of_n_schedule(1), ElementsAre(1));
  EXPECT_THAT(best_of_n_schedule(2), ElementsAre(1, 2));
  EXPECT_THAT(best_of_n_schedule(13), ElementsAre(1, 2, 3, 4, 6, 8, 12, 13));
  EXPECT_EQ(best_of_n_schedule(12500).back(), 12500);
}

TEST(BestOfN, CurveIsTheMeanOverPromptsWithABand) {
  const std::vector<AnswerPool> pools = {{1, {1, 2, 3}, {0, 0, 1}}, {2, {3, 2, 1, 0}, {0, 0, 0, 1}}};
  const std::vector<BestOfNPoint> curve = best_of_n_curve(pools, 1);
  ASSERT_EQ(curve.size(), 3u);  // up to the smallest pool
  EXPECT_EQ(curve[2].n, 3);
  EXPECT_NEAR(curve[0].gold, (1.0 / 3 + 1.0 / 4) / 2, 1e-12);
  EXPECT_NEAR(curve[2].gold, (1.0 + 0) / 2, 1e-12);
  EXPECT_NEAR(curve[0].proxy, (2 + 1.5) / 2, 1e-12);
  EXPECT_EQ(curve[2].gold_band.low, 0);
  EXPECT_EQ(curve[2].gold_band.high, 1);
  EXPECT_LE(curve[1].proxy_band.low, curve[1].proxy);
}

TEST(BestOfN, GoldMayBeUnknown) {
  const std::vector<AnswerPool> pools = {{1, {1, 2}, {0, 1}}, {2, {1, 2}, {}}};
  const std::vector<BestOfNPoint> curve = best_of_n_curve(pools);
  EXPECT_TRUE(std::isnan(curve[0].gold));
  EXPECT_TRUE(std::isnan(curve[0].gold_band.low));
  EXPECT_EQ(curve[1].proxy, 2);
}

TEST(BestOfN, RefusesWhatCannotBe) {
  const std::vector<double> two = {1, 2}, one = {1}, none, bad = {1, NAN};
  const std::vector<int64_t> n1 = {1}, n0 = {0}, n3 = {3};
  EXPECT_THROW(best_of_n_values(none, none, n1), Error);
  EXPECT_THROW(best_of_n_values(two, one, n1), Error);
  EXPECT_THROW(best_of_n_values(two, bad, n1), Error);
  EXPECT_THROW(best_of_n_values(two, two, n0), Error);
  EXPECT_THROW(best_of_n_values(two, two, n3), Error);
  EXPECT_THROW(best_of_n_curve({}), Error);
}

}  // namespace
}  // namespace dmoerm::metrics
