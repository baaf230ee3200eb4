// Packing: every sequence can be read back from its segments, whatever is shared.
#include "dmoerm/data/packing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "dmoerm/core/random.h"

namespace dmoerm::data {
namespace {

using Sequence = std::vector<int32_t>;

std::vector<PackItem> items_of(const std::vector<Sequence>& sequences, int64_t group = 0,
                               int32_t expert = -1) {
  std::vector<PackItem> items;
  for (const Sequence& sequence : sequences) items.push_back({sequence, group, expert});
  return items;
}

int32_t segment_of_row(const SegmentTable& table, int64_t row) {
  for (size_t s = 0; s < table.segments.size(); ++s)
    if (row >= table.segments[s].begin && row < table.segments[s].begin + table.segments[s].length) return s;
  return -1;
}

// Rows of item r in the order of its sequence.
std::vector<int64_t> rows_of(const PackedBatch& batch, size_t r) {
  const SegmentTable& table = *batch.segments;
  const Segment& own = table.segments[segment_of_row(table, batch.last_token[r])];
  std::vector<int64_t> rows;
  if (own.parent >= 0) {
    const Segment& parent = table.segments[own.parent];
    for (int32_t i = 0; i < parent.length; ++i) rows.push_back(parent.begin + i);
  }
  for (int64_t row = own.begin; row <= batch.last_token[r]; ++row) rows.push_back(row);
  return rows;
}

void expect_consistent(const std::vector<PackItem>& items, const PackedBatch& batch, int32_t num_experts) {
  const SegmentTable& table = *batch.segments;
  ASSERT_EQ(batch.positions.size(), batch.tokens.size());
  ASSERT_EQ(batch.row_keys.size(), batch.tokens.size());
  ASSERT_EQ(table.num_rows, batch.num_tokens());
  ASSERT_EQ(batch.last_token.size(), items.size());

  int64_t next_row = 0;
  std::vector<int32_t> roots;
  for (size_t s = 0; s < table.segments.size(); ++s) {
    const Segment& segment = table.segments[s];
    EXPECT_EQ(segment.begin, next_row);
    ASSERT_GE(segment.length, 1);
    next_row += segment.length;
    if (segment.parent < 0) {
      roots.push_back(s);
    } else {
      EXPECT_EQ(segment.parent, roots.back());  // children follow their root directly
    }
  }
  EXPECT_EQ(next_row, table.num_rows);
  EXPECT_EQ(roots, table.roots);

  int64_t unshared = 0;
  for (size_t r = 0; r < items.size(); ++r) {
    Sequence tokens;
    const auto rows = rows_of(batch, r);
    for (size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(batch.positions[rows[i]], i);
      tokens.push_back(static_cast<int32_t>(batch.tokens[rows[i]]));
    }
    EXPECT_EQ(tokens, Sequence(items[r].tokens.begin(), items[r].tokens.end())) << "item " << r;
    unshared += static_cast<int64_t>(tokens.size());
    const int64_t last = batch.last_token[r];
    EXPECT_GE(last, items[r].expert < 0 ? 0 : batch.expert_offsets[items[r].expert]);
    EXPECT_LT(last, batch.expert_offsets[items[r].expert + 1]);
  }
  EXPECT_EQ(batch.num_unshared_tokens, unshared);
  EXPECT_EQ(std::ranges::count_if(batch.last_token,
                                  [&](int64_t row) { return std::ranges::count(batch.last_token, row) > 1; }),
            0);  // every item has a last token of its own
  ASSERT_EQ(batch.expert_offsets.size(), num_experts + 1);
  EXPECT_TRUE(std::ranges::is_sorted(batch.expert_offsets));
  EXPECT_EQ(batch.expert_offsets.back(), batch.num_tokens());
}

// A prompt and answers of random length, some equal, some the beginning of another.
std::vector<Sequence> random_group(RandomStream& random, int64_t num_answers) {
  Sequence prompt(random.below(12));
  for (int32_t& token : prompt) token = static_cast<int32_t>(random.below(50));
  std::vector<Sequence> sequences;
  for (int64_t a = 0; a < num_answers; ++a) {
    Sequence sequence = prompt;
    if (a > 0 && random.chance(0.3)) {
      sequence = sequences[random.below(sequences.size())];
      if (sequence.size() > 1 && random.chance(0.5)) sequence.resize(1 + random.below(sequence.size()));
    }
    for (uint64_t i = random.below(6) + (sequence.empty() ? 1 : 0); i > 0; --i)
      sequence.push_back(static_cast<int32_t>(random.below(50)));
    sequences.push_back(sequence);
  }
  return sequences;
}

TEST(Packing, EverySequenceIsReadBack) {
  for (const int64_t num_answers : {1, 2, 7, 300}) {
    RandomStream random(num_answers, "packing");
    const auto sequences = random_group(random, num_answers);
    const auto items = items_of(sequences);
    for (const bool share : {true, false}) {
      const auto batch = pack(items, 0, share);
      expect_consistent(items, batch, 0);
      const std::vector<std::span<const int32_t>> views(sequences.begin(), sequences.end());
      EXPECT_EQ(packed_size(views, share), batch.num_tokens());
      if (!share) {
        EXPECT_EQ(batch.num_tokens(), batch.num_unshared_tokens);
      }
    }
  }
}

TEST(Packing, SequencesThatAreTooLongShareNothing) {
  const std::vector<Sequence> sequences = {{1, 2, 3, 4, 5}, {1, 2, 3}, {1, 2, 3, 4, 6, 7}, {1, 2, 9}};
  const auto items = items_of(sequences);
  const auto batch = pack(items, 0, true, 3);
  expect_consistent(items, batch, 0);
  EXPECT_EQ(batch.num_tokens(), 5 + 6 + 2 + 1 + 1);
  const std::vector<std::span<const int32_t>> views(sequences.begin(), sequences.end());
  EXPECT_EQ(packed_size(views, true, 3), batch.num_tokens());
  for (const Segment& segment : batch.segments->segments)
    if (segment.parent >= 0) {
      EXPECT_LE(batch.segments->position_of(segment) + segment.length, 3);
    }
}

TEST(Packing, PromptIsComputedOnce) {
  std::vector<Sequence> sequences;
  for (int32_t answer = 0; answer < 64; ++answer) sequences.push_back({1, 2, 3, 4, 5, 6, 7, 8, 100 + answer});
  const auto batch = pack(items_of(sequences));
  EXPECT_EQ(batch.num_tokens(), 8 + 64);
  EXPECT_EQ(batch.segments->roots.size(), 1u);
}

TEST(Packing, OneCutPromptDoesNotSpoilTheOthers) {
  const std::vector<Sequence> sequences = {
      {1, 2, 3, 4, 10}, {1, 2, 3, 4, 11}, {3, 4, 12, 12}, {1, 2, 3, 4, 13}};
  const auto batch = pack(items_of(sequences));
  expect_consistent(items_of(sequences), batch, 0);
  EXPECT_EQ(batch.num_tokens(), 4 + 3 + 4);
  EXPECT_EQ(batch.segments->roots.size(), 2u);
}

TEST(Packing, PrefixAndEqualAnswersKeepTheirLastToken) {
  const std::vector<Sequence> sequences = {{1, 2, 3}, {1, 2, 3}, {1, 2, 3, 4}, {1, 2}};
  const auto batch = pack(items_of(sequences));
  expect_consistent(items_of(sequences), batch, 0);
  EXPECT_EQ(batch.num_tokens(), 2 + 1 + 1 + 2 + 2);  // prefix {1, 2} shared by three; {1, 2} alone
}

TEST(Packing, OneTokenSequences) {
  const std::vector<Sequence> sequences = {{1}, {1}, {2}};
  const auto batch = pack(items_of(sequences));
  expect_consistent(items_of(sequences), batch, 0);
  EXPECT_EQ(batch.num_tokens(), 3);
}

TEST(Packing, NoItems) {
  const auto batch = pack({}, 2);
  EXPECT_EQ(batch.num_tokens(), 0);
  EXPECT_EQ(batch.expert_offsets, (std::vector<int64_t>{0, 0, 0}));
}

TEST(Packing, RowsAreSortedByExpertAndSharingStaysInsideGroupAndExpert) {
  RandomStream random(1, "packing");
  const auto a = random_group(random, 5), b = random_group(random, 4);
  std::vector<PackItem> items;
  for (const int32_t expert : {3, -1, 1}) {
    for (const auto& item : items_of(a, 10, expert)) items.push_back(item);
    for (const auto& item : items_of(b, -4, expert)) items.push_back(item);
  }
  const auto batch = pack(items, 5);
  expect_consistent(items, batch, 5);
  const int64_t one = batch.num_tokens() / 3;
  EXPECT_EQ(batch.expert_offsets, (std::vector<int64_t>{one, one, 2 * one, 2 * one, 3 * one, 3 * one}));

  const std::vector<Sequence> same = {{1, 2, 3}};
  std::vector<PackItem> two_groups = {{same[0], 0, -1}, {same[0], 1, -1}};
  EXPECT_EQ(pack(two_groups).num_tokens(), 6);
}

TEST(Packing, RowKeysDoNotDependOnSharingOrNeighbours) {
  RandomStream random(2, "packing");
  const auto sequences = random_group(random, 7);
  const auto shared = pack(items_of(sequences, 3)), unshared = pack(items_of(sequences, 3), 0, false);
  const auto keys = [](const PackedBatch& batch, size_t r) {
    std::vector<uint64_t> keys;
    for (const int64_t row : rows_of(batch, r)) keys.push_back(batch.row_keys[row]);
    return keys;
  };
  for (size_t r = 0; r < sequences.size(); ++r) {
    const auto alone = pack(items_of({sequences[r]}, 3));
    EXPECT_EQ(keys(shared, r), keys(unshared, r));
    EXPECT_EQ(keys(shared, r), keys(alone, 0));
    EXPECT_NE(keys(shared, r), keys(pack(items_of({sequences[r]}, 4)), 0));
  }
  std::vector<uint64_t> distinct = shared.row_keys;
  std::ranges::sort(distinct);
  std::map<std::vector<int64_t>, uint64_t> key_of_prefix;  // equal prefixes, and only they, have equal keys
  for (size_t r = 0; r < sequences.size(); ++r) {
    std::vector<int64_t> prefix;
    const auto row_keys = keys(unshared, r);
    for (size_t i = 0; i < row_keys.size(); ++i) {
      prefix.push_back(sequences[r][i]);
      const auto [entry, fresh] = key_of_prefix.emplace(prefix, row_keys[i]);
      EXPECT_EQ(entry->second, row_keys[i]);
    }
  }
  std::vector<uint64_t> values;
  for (const auto& [prefix, key] : key_of_prefix) values.push_back(key);
  std::ranges::sort(values);
  EXPECT_EQ(std::ranges::unique(values).begin(), values.end());
}

TEST(PlanBatches, KeepsTheBudgetAndEveryItemOnce) {
  RandomStream random(3, "batches");
  std::vector<int64_t> costs(500);
  for (int64_t& cost : costs) cost = 1 + static_cast<int64_t>(random.below(90));
  costs[17] = 1000;  // above the budget: alone
  const auto batches = plan_batches(costs, 256);
  std::vector<int64_t> seen;
  int64_t least = 256, most = 0;
  for (const auto& batch : batches) {
    int64_t load = 0;
    for (const int64_t item : batch) load += costs[item];
    if (batch == std::vector<int64_t>{17}) {
      EXPECT_EQ(load, 1000);
    } else {
      EXPECT_LE(load, 256);
      least = std::min(least, load);
      most = std::max(most, load);
    }
    seen.insert(seen.end(), batch.begin(), batch.end());
  }
  std::ranges::sort(seen);
  std::vector<int64_t> all(500);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(seen, all);
  EXPECT_LE(most - least, 20);  // even
  EXPECT_EQ(plan_batches(costs, 256), batches);
}

TEST(PlanBatches, EmptyAndSingle) {
  EXPECT_TRUE(plan_batches({}, 10).empty());
  EXPECT_EQ(plan_batches(std::vector<int64_t>{3}, 10), (std::vector<std::vector<int64_t>>{{0}}));
}

}  // namespace
}  // namespace dmoerm::data
