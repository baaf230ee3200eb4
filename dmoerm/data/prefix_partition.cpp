// The optimum is found on the prefix tree. A set formed at a node of depth d lets each free sequence below it
// save d tokens, less d once for the prefix itself. So with v(node, gain) the best saving below a node when a
// sequence left free there gains `gain` from a set further up:
//   v(leaf, gain) = gain,   v(node, gain) = max(sum v(child, gain), sum v(child, depth) - depth).
#include "dmoerm/data/prefix_partition.h"

#include <algorithm>
#include <numeric>

#include "dmoerm/core/error.h"

namespace dmoerm::data {
namespace {

using Tokens = std::span<const int32_t>;

struct Node {
  int64_t depth = 0;      // tokens that all sequences below share
  int32_t sequence = -1;  // a leaf's place in the sorted order
  std::vector<int32_t> children;
  std::vector<bool> opens;  // [i] whether to form a set here, given the i-th possible gain from above
};

class PrefixTree {
 public:
  explicit PrefixTree(const std::vector<Tokens>& sorted) {
    common_.resize(sorted.size());
    for (size_t i = 1; i < sorted.size(); ++i) {
      const auto end =
          std::mismatch(sorted[i - 1].begin(), sorted[i - 1].end(), sorted[i].begin(), sorted[i].end());
      common_[i] = end.first - sorted[i - 1].begin();
    }
    build(0, static_cast<int32_t>(sorted.size()));
    std::vector<int64_t> gains = {0};
    solve(0, gains);
  }

  // Calls emit(sequence, length, node of the set or -1) for each sequence in sorted order.
  template <typename Emit>
  void visit(const Emit& emit) const {
    visit(0, 0, 1, -1, emit);
  }

 private:
  int32_t build(int32_t begin, int32_t end) {
    const auto index = static_cast<int32_t>(nodes_.size());
    nodes_.emplace_back();
    if (end - begin == 1) {
      nodes_[index].sequence = begin;
      return index;
    }
    const int64_t depth = *std::min_element(common_.begin() + begin + 1, common_.begin() + end);
    nodes_[index].depth = depth;
    for (int32_t i = begin; i < end;) {
      int32_t stop = i + 1;
      while (stop < end && common_[stop] > depth) ++stop;
      const int32_t child = build(i, stop);
      nodes_[index].children.push_back(child);
      i = stop;
    }
    return index;
  }

  // The best savings below a node for each possible gain: none, or the depth of one of its ancestors.
  std::vector<int64_t> solve(int32_t index, std::vector<int64_t>& gains) {
    if (nodes_[index].sequence >= 0) return gains;
    const int64_t depth = nodes_[index].depth;
    gains.push_back(depth);
    std::vector<int64_t> total(gains.size(), 0);
    for (const int32_t child : nodes_[index].children) {
      const auto value = solve(child, gains);
      std::transform(total.begin(), total.end(), value.begin(), total.begin(), std::plus<>());
    }
    gains.pop_back();
    const int64_t opened = total.back() - depth;
    total.pop_back();
    for (int64_t& value : total) {
      nodes_[index].opens.push_back(opened > value);
      value = std::max(value, opened);
    }
    return total;
  }

  template <typename Emit>
  void visit(int32_t index, size_t gain, size_t level, int32_t set, const Emit& emit) const {
    const Node& node = nodes_[index];
    if (node.sequence >= 0) return emit(node.sequence, set < 0 ? 0 : nodes_[set].depth, set);
    if (node.opens[gain]) {
      gain = level;
      set = index;
    }
    for (const int32_t child : node.children) visit(child, gain, level + 1, set, emit);
  }

  std::vector<int64_t> common_;  // [i] length of the common prefix of sorted sequences i - 1 and i
  std::vector<Node> nodes_;
};

}  // namespace

std::vector<PrefixSet> partition_by_prefix(std::span<const Tokens> sequences) {
  if (sequences.empty()) return {};
  std::vector<int32_t> order(sequences.size());
  std::iota(order.begin(), order.end(), 0);
  // The last token of a sequence is always its own, so it takes no part.
  const auto shareable = [&](int32_t i) { return sequences[i].first(sequences[i].size() - 1); };
  for (const Tokens sequence : sequences) DMOERM_ASSERT(!sequence.empty());
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return std::ranges::lexicographical_compare(shareable(a), shareable(b));
  });
  std::vector<Tokens> sorted;
  for (const int32_t i : order) sorted.push_back(shareable(i));

  std::vector<PrefixSet> sets;
  std::vector<int32_t> set_of_node(2 * sequences.size(), -1);
  PrefixTree(sorted).visit([&](int32_t place, int64_t length, int32_t node) {
    int32_t set = node < 0 ? -1 : set_of_node[node];
    if (set < 0) {
      set = static_cast<int32_t>(sets.size());
      sets.push_back({length, {}});
      if (node >= 0) set_of_node[node] = set;
    }
    sets[set].members.push_back(order[place]);
  });
  return sets;
}

}  // namespace dmoerm::data
