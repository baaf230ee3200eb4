// The sharing partition against a search through all partitions.
#include "dmoerm/data/prefix_partition.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "dmoerm/core/random.h"

namespace dmoerm::data {
namespace {

using Sequence = std::vector<int32_t>;
using TokenSpan = std::span<const int32_t>;

std::vector<TokenSpan> views(const std::vector<Sequence>& sequences) {
  return {sequences.begin(), sequences.end()};
}

int64_t common_prefix(const std::vector<Sequence>& sequences, const std::vector<int32_t>& members) {
  const Sequence& first = sequences[members[0]];
  size_t length = first.size() - 1;
  for (const int32_t m : members) {
    length = std::min(length, sequences[m].size() - 1);
    for (size_t i = 0; i < length; ++i)
      if (sequences[m][i] != first[i]) length = i;
  }
  return static_cast<int64_t>(length);
}

int64_t saving(const std::vector<PrefixSet>& sets) {
  int64_t saved = 0;
  for (const PrefixSet& set : sets) saved += (static_cast<int64_t>(set.members.size()) - 1) * set.length;
  return saved;
}

// The best saving over every set partition, by assigning sequence `i` to each set in turn.
int64_t brute_force(const std::vector<Sequence>& sequences, std::vector<std::vector<int32_t>>& sets,
                    int32_t i = 0) {
  if (i == static_cast<int32_t>(sequences.size())) {
    int64_t saved = 0;
    for (const auto& set : sets)
      saved += (static_cast<int64_t>(set.size()) - 1) * common_prefix(sequences, set);
    return saved;
  }
  int64_t best = 0;
  for (size_t s = 0; s < sets.size(); ++s) {
    sets[s].push_back(i);
    best = std::max(best, brute_force(sequences, sets, i + 1));
    sets[s].pop_back();
  }
  sets.push_back({i});
  best = std::max(best, brute_force(sequences, sets, i + 1));
  sets.pop_back();
  return best;
}

void expect_valid(const std::vector<Sequence>& sequences, const std::vector<PrefixSet>& sets) {
  std::vector<int32_t> seen;
  for (const PrefixSet& set : sets) {
    ASSERT_FALSE(set.members.empty());
    if (set.members.size() == 1) {
      EXPECT_EQ(set.length, 0);
    }
    EXPECT_LE(set.length, common_prefix(sequences, set.members));
    seen.insert(seen.end(), set.members.begin(), set.members.end());
  }
  std::ranges::sort(seen);
  std::vector<int32_t> all(sequences.size());
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(seen, all);
}

TEST(PrefixPartition, IsOptimalOnRandomSequences) {
  for (uint64_t seed = 0; seed < 400; ++seed) {
    RandomStream random(seed, "partition");
    std::vector<Sequence> sequences(1 + random.below(6));
    for (Sequence& sequence : sequences) {
      sequence.resize(1 + random.below(9));
      // Few symbols, mostly 0: deep and branching prefix trees, equal sequences, prefixes of one another.
      for (int32_t& token : sequence) token = random.chance(0.75) ? 0 : static_cast<int32_t>(random.below(3));
    }
    const auto sets = partition_by_prefix(views(sequences));
    expect_valid(sequences, sets);
    std::vector<std::vector<int32_t>> scratch;
    EXPECT_EQ(saving(sets), brute_force(sequences, scratch)) << "seed " << seed;
  }
}

TEST(PrefixPartition, TwoAnswersInTheMiddleShareMoreThanThePrompt) {
  // Sorted by content, the two that share a long start lie between others: they leave the big set alone.
  std::vector<Sequence> sequences;
  for (int32_t i = 0; i < 8; ++i) sequences.push_back({7, 7, 7, 7, i, 1});
  Sequence longer = {7, 7, 7, 7, 4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  for (int32_t end : {2, 3}) {
    sequences.push_back(longer);
    sequences.back().push_back(end);
  }
  const auto sets = partition_by_prefix(views(sequences));
  expect_valid(sequences, sets);
  EXPECT_EQ(saving(sets), 7 * 4 + 15);
}

TEST(PrefixPartition, EmptyAndSingle) {
  EXPECT_TRUE(partition_by_prefix({}).empty());
  const std::vector<Sequence> one = {{5}};
  const auto sets = partition_by_prefix(views(one));
  ASSERT_EQ(sets.size(), 1u);
  EXPECT_EQ(sets[0].length, 0);
}

TEST(PrefixPartition, ChainOfPrefixesIsHandled) {
  std::vector<Sequence> chain;
  for (int32_t length = 1; length <= 300; ++length) chain.emplace_back(length, 1);
  const auto sets = partition_by_prefix(views(chain));
  expect_valid(chain, sets);
  EXPECT_GT(saving(sets), 150 * 149);  // one cut in the middle already saves this
}

}  // namespace
}  // namespace dmoerm::data
