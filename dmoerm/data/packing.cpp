#include "dmoerm/data/packing.h"

#include <algorithm>
#include <numeric>
#include <queue>
#include <tuple>

#include "dmoerm/core/error.h"
#include "dmoerm/core/hash.h"
#include "dmoerm/data/prefix_partition.h"

namespace dmoerm::data {
namespace {

using Tokens = std::span<const int32_t>;

std::vector<PrefixSet> partition(std::span<const Tokens> sequences, bool share_prefixes,
                                 int64_t longest_sharing) {
  std::vector<PrefixSet> sets;
  std::vector<Tokens> sharing;
  std::vector<int32_t> number;  // of each of them among all
  for (int32_t i = 0; i < static_cast<int32_t>(sequences.size()); ++i) {
    if (share_prefixes && static_cast<int64_t>(sequences[i].size()) <= longest_sharing) {
      sharing.push_back(sequences[i]);
      number.push_back(i);
    } else {
      sets.push_back({0, {i}});
    }
  }
  for (PrefixSet& set : partition_by_prefix(sharing)) {
    for (int32_t& member : set.members) member = number[member];
    sets.push_back(std::move(set));
  }
  return sets;
}

class BatchBuilder {
 public:
  explicit BatchBuilder(size_t num_items) { batch_.last_token.resize(num_items); }

  // Appends a segment that continues a sequence at `position`, whose row key before it is `key`.
  // Returns the row key after it.
  uint64_t append(Tokens tokens, int64_t position, int32_t parent, uint64_t key) {
    const auto begin = static_cast<int32_t>(batch_.tokens.size());
    if (parent < 0) table_.roots.push_back(num_segments());
    table_.segments.push_back({begin, static_cast<int32_t>(tokens.size()), parent});
    for (const int32_t token : tokens) {
      key = hash_combine(key, static_cast<uint32_t>(token));
      batch_.tokens.push_back(token);
      batch_.positions.push_back(position++);
      batch_.row_keys.push_back(key);
    }
    return key;
  }

  void append_set(std::span<const PackItem> items, std::span<const int32_t> item_of, const PrefixSet& set) {
    const PackItem& first = items[item_of[set.members[0]]];
    uint64_t key = hash_combine(0, static_cast<uint64_t>(first.group));
    int32_t root = -1;
    if (set.length > 0) {
      root = num_segments();
      key = append(first.tokens.first(set.length), 0, -1, key);
    }
    for (const int32_t member : set.members) {
      const PackItem& item = items[item_of[member]];
      append(item.tokens.subspan(set.length), set.length, root, key);
      batch_.last_token[item_of[member]] = batch_.num_tokens() - 1;
      batch_.num_unshared_tokens += static_cast<int64_t>(item.tokens.size());
    }
  }

  int64_t num_tokens() const { return batch_.num_tokens(); }

  PackedBatch finish(std::vector<int64_t> expert_offsets) {
    DMOERM_ASSERT(num_tokens() <= INT32_MAX);  // segments count rows in 32 bits
    table_.num_rows = num_tokens();
    batch_.segments = std::make_shared<const SegmentTable>(std::move(table_));
    batch_.expert_offsets = std::move(expert_offsets);
    return std::move(batch_);
  }

 private:
  int32_t num_segments() const { return static_cast<int32_t>(table_.segments.size()); }

  PackedBatch batch_;
  SegmentTable table_;
};

}  // namespace

PackedBatch pack(std::span<const PackItem> items, int32_t num_experts, bool share_prefixes,
                 int64_t longest_sharing) {
  std::vector<int32_t> order(items.size());
  std::iota(order.begin(), order.end(), 0);
  const auto place = [&](int32_t i) { return std::tuple(items[i].expert, items[i].group); };
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return place(a) < place(b); });

  BatchBuilder builder(items.size());
  std::vector<int64_t> expert_offsets(num_experts + 1, 0);
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && place(order[end]) == place(order[begin])) ++end;
    const auto item_of = std::span(order).subspan(begin, end - begin);
    std::vector<Tokens> sequences;
    for (const int32_t i : item_of) sequences.push_back(items[i].tokens);
    for (const PrefixSet& set : partition(sequences, share_prefixes, longest_sharing))
      builder.append_set(items, item_of, set);
    const int32_t expert = items[order[begin]].expert;
    DMOERM_ASSERT(expert >= -1 && expert < num_experts);
    expert_offsets[expert + 1] = builder.num_tokens();
  }
  for (int32_t e = 0; e < num_experts; ++e)  // experts without rows
    expert_offsets[e + 1] = std::max(expert_offsets[e + 1], expert_offsets[e]);
  return builder.finish(std::move(expert_offsets));
}

int64_t packed_size(std::span<const Tokens> sequences, bool share_prefixes, int64_t longest_sharing) {
  int64_t size = 0;
  for (const Tokens sequence : sequences) size += static_cast<int64_t>(sequence.size());
  for (const PrefixSet& set : partition(sequences, share_prefixes, longest_sharing))
    size -= (static_cast<int64_t>(set.members.size()) - 1) * set.length;
  return size;
}

std::vector<std::vector<int64_t>> plan_batches(std::span<const int64_t> costs, int64_t budget) {
  std::vector<int64_t> order(costs.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return costs[a] > costs[b]; });

  std::vector<std::vector<int64_t>> batches;
  size_t next = 0;
  for (; next < order.size() && costs[order[next]] >= budget; ++next) batches.push_back({order[next]});

  using Load = std::pair<int64_t, size_t>;  // tokens, batch
  std::priority_queue<Load, std::vector<Load>, std::greater<>> emptiest;
  const auto open_batch = [&] {
    emptiest.push({0, batches.size()});
    batches.emplace_back();
  };
  int64_t rest = 0;
  for (size_t i = next; i < order.size(); ++i) rest += costs[order[i]];
  for (int64_t planned = 0; planned < rest; planned += budget) open_batch();
  for (; next < order.size(); ++next) {
    const int64_t item = order[next];
    if (emptiest.empty() || emptiest.top().first + costs[item] > budget) open_batch();
    const auto [load, batch] = emptiest.top();
    emptiest.pop();
    batches[batch].push_back(item);
    emptiest.push({load + costs[item], batch});
  }
  std::erase_if(batches, [](const auto& batch) { return batch.empty(); });
  for (auto& batch : batches) std::sort(batch.begin(), batch.end());
  return batches;
}

}  // namespace dmoerm::data
