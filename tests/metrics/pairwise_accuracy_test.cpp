// Accuracy, intervals and agreement against closed forms.
#include "dmoerm/metrics/pairwise_accuracy.h"

#include <gtest/gtest.h>

#include <cmath>

#include "dmoerm/core/random.h"
#include "dmoerm/metrics/length_baseline.h"

namespace dmoerm::metrics {
namespace {

PairCount pairs_of(const std::vector<double>& rewards, const std::vector<int64_t>& ranks) {
  return count_pairs(rewards, ranks);
}

TEST(PairwiseAccuracy, CountsPairsOfDifferentRank) {
  EXPECT_EQ(pairs_of({2, 1}, {1, 2}).accuracy(), 1);  // rank 1 is best
  EXPECT_EQ(pairs_of({1, 2}, {1, 2}).accuracy(), 0);
  EXPECT_EQ(pairs_of({1, 1}, {1, 2}).accuracy(), 0.5);
  EXPECT_EQ(pairs_of({1, 2}, {1, 1}).pairs, 0);
  // Ranks 1 2 2 3: five pairs. Right: 0>1, 0>2, 0>3, 2>3; 1 and 3 are equal.
  const auto count = pairs_of({4, 1, 3, 1}, {1, 2, 2, 3});
  EXPECT_EQ(count.pairs, 5);
  EXPECT_EQ(count.right, 4.5);
  EXPECT_EQ(pairs_of({}, {}).accuracy(), 0);
  EXPECT_EQ(pairs_of({1}, {1}).pairs, 0);
}

std::vector<PromptPairs> draws(int64_t prompts, int64_t pairs_a_prompt, double accuracy) {
  std::vector<PromptPairs> result;
  RandomStream random(3, "test");
  for (int64_t p = 0; p < prompts; ++p) {
    const double right = random.chance(accuracy);  // all of a prompt's pairs alike
    for (int64_t i = 0; i < pairs_a_prompt; ++i) result.push_back({static_cast<uint64_t>(p), {right, 1}});
  }
  return result;
}

TEST(Bootstrap, EqualsTheBinomialIntervalForIndependentPairs) {
  const auto pairs = draws(400, 1, 0.7);
  const double mean = total(pairs).accuracy(), half = 1.96 * std::sqrt(mean * (1 - mean) / 400);
  const auto interval = bootstrap_interval(pairs, 1, 4000);
  EXPECT_NEAR(interval.low, mean - half, 0.006);
  EXPECT_NEAR(interval.high, mean + half, 0.006);
}

TEST(Bootstrap, PairsOfOnePromptAreNotIndependent) {
  const auto pairs = draws(100, 16, 0.7);
  const double mean = total(pairs).accuracy(), half = 1.96 * std::sqrt(mean * (1 - mean) / 100);
  const auto interval = bootstrap_interval(pairs, 1, 4000);
  EXPECT_NEAR(interval.high - interval.low, 2 * half, 0.02);  // not four times narrower
}

TEST(Bootstrap, IsSeededAndHandlesTheEnds) {
  const auto pairs = draws(50, 2, 0.6);
  const auto one = bootstrap_interval(pairs, 1), same = bootstrap_interval(pairs, 1),
             other = bootstrap_interval(pairs, 2);
  EXPECT_EQ(one.low, same.low);
  EXPECT_EQ(one.high, same.high);
  EXPECT_TRUE(one.low != other.low || one.high != other.high);
  const auto perfect = bootstrap_interval(draws(10, 1, 1));
  EXPECT_EQ(perfect.low, 1);
  EXPECT_EQ(perfect.high, 1);
  EXPECT_EQ(bootstrap_interval({}).high, 0);
}

TEST(Agreement, CountsOrders) {
  const std::vector<double> a = {1, 2, 3}, scaled = {10, 20, 30}, reversed = {3, 2, 1}, flat = {5, 5, 5};
  EXPECT_EQ(count_agreement(a, scaled).accuracy(), 1);
  EXPECT_EQ(count_agreement(a, reversed).accuracy(), 0);
  EXPECT_EQ(count_agreement(a, flat).accuracy(), 0.5);
  EXPECT_EQ(count_agreement(flat, flat).accuracy(), 1);
  EXPECT_EQ(count_agreement(a, a).pairs, 3);
}

TEST(LengthBaseline, CountsCharactersOrTokens) {
  data::PreferenceRecord record;
  record.responses = {{{"assistant", "知识 é"}}, {{"assistant", ""}}};
  EXPECT_EQ(answer_lengths(record), (std::vector<double>{4, 0}));
  record.is_ids = true;
  record.response_ids = {{1, 2, 3}, {}};
  EXPECT_EQ(answer_lengths(record), (std::vector<double>{3, 0}));
}

}  // namespace
}  // namespace dmoerm::metrics
