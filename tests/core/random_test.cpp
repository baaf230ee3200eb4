#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "dmoerm/core/log.h"
#include "dmoerm/core/random.h"

namespace dmoerm {
namespace {

TEST(RandomStream, IsAFunctionOfSeedPurposeAndCounters) {
  EXPECT_EQ(RandomStream(1, "a", {2, 3}).next(), RandomStream(1, "a", {2, 3}).next());
  const uint64_t value = RandomStream(1, "a", {2, 3}).next();
  EXPECT_NE(value, RandomStream(2, "a", {2, 3}).next());
  EXPECT_NE(value, RandomStream(1, "b", {2, 3}).next());
  EXPECT_NE(value, RandomStream(1, "a", {3, 2}).next());
  EXPECT_NE(value, RandomStream(1, "a", {2}).next());
}

TEST(RandomStream, Moments) {
  RandomStream random(7, "moments");
  const int n = 200000;
  double uniform = 0, normal = 0, square = 0;
  for (int i = 0; i < n; ++i) {
    uniform += random.uniform();
    const double x = random.normal();
    normal += x;
    square += x * x;
  }
  EXPECT_NEAR(uniform / n, 0.5, 5 * std::sqrt(1 / 12.0 / n));  // five standard errors each
  EXPECT_NEAR(normal / n, 0, 5 / std::sqrt(n));
  EXPECT_NEAR(square / n, 1, 5 * std::sqrt(2.0 / n));
}

TEST(RandomStream, BelowAndWeightedAreUnbiased) {
  RandomStream random(3, "below");
  std::vector<int> counts(7), weighted(3);
  const int n = 70000;
  for (int i = 0; i < n; ++i) {
    ++counts[random.below(7)];
    ++weighted[random.weighted({1, 0, 3})];
  }
  for (const int count : counts) EXPECT_NEAR(count, n / 7, 5 * std::sqrt(n / 7.0));
  EXPECT_EQ(weighted[1], 0);
  EXPECT_NEAR(weighted[2], 0.75 * n, 5 * std::sqrt(n * 0.1875));
}

TEST(RandomStream, ShuffleIsAPermutation) {
  std::vector<int> items(100), sorted(100);
  std::iota(items.begin(), items.end(), 0);
  std::iota(sorted.begin(), sorted.end(), 0);
  RandomStream(1, "shuffle").shuffle(items);
  EXPECT_NE(items, sorted);
  std::sort(items.begin(), items.end());
  EXPECT_EQ(items, sorted);
}

TEST(Progress, CountsAndReportsTheEnd) {
  std::vector<ProgressState> states;
  set_progress_sink([&](const ProgressState& state) { states.push_back(state); });
  {
    Progress progress("work", 10, "items");
    progress.start_at(4);
    for (int i = 0; i < 6; ++i) progress.advance(1, "detail");
  }
  set_progress_sink({});
  ASSERT_FALSE(states.empty());
  EXPECT_TRUE(states.back().finished);
  EXPECT_EQ(states.back().done, 10);
  EXPECT_EQ(states.back().detail, "detail");
}

}  // namespace
}  // namespace dmoerm
