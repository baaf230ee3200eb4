#include "dmoerm/ops/varlen_plan.h"

#include <algorithm>
#include <utility>

#include "dmoerm/core/error.h"

namespace dmoerm::ops {
namespace {

// The backward kernel runs one block for 128 keys of a sequence, which walks over all of its queries: a
// prompt with many answers would leave most of the GPU idle. So its queries are cut, each cut with a copy of
// the keys.
constexpr int64_t kParentQueries = 2048;

// Number of queries of each segment; nothing when they are not its last rows.
std::optional<std::vector<int64_t>> count_queries(const data::SegmentTable& table,
                                                  const std::vector<int64_t>& rows) {
  std::vector<int64_t> counts;
  counts.reserve(table.segments.size());
  size_t next = 0;
  for (const data::Segment& segment : table.segments) {
    if (rows.empty()) {
      counts.push_back(segment.length);
      continue;
    }
    const int64_t end = segment.begin + segment.length;
    const size_t first = next;
    while (next < rows.size() && rows[next] < end) ++next;
    const auto count = static_cast<int64_t>(next - first);
    for (size_t i = first; i < next; ++i)
      if (rows[i] != end - static_cast<int64_t>(next - i)) return std::nullopt;
    counts.push_back(count);
  }
  DMOERM_ASSERT(next == rows.size());
  return counts;
}

void copy_rows(KeyCopies& copies, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) copies.row_of.push_back(static_cast<int32_t>(row));
}

// Fills in the way back.
void invert(KeyCopies& copies, int64_t num_rows) {
  std::vector<int32_t> count(num_rows);
  for (const int32_t row : copies.row_of) ++count[row];
  std::vector<int32_t> next(num_rows);
  copies.offsets.push_back(0);
  for (int64_t row = 0; row < num_rows; ++row) {
    if (count[row] == 0) continue;
    next[row] = copies.offsets.back();
    copies.rows.push_back(static_cast<int32_t>(row));
    copies.offsets.push_back(next[row] + count[row]);
  }
  copies.sources.resize(copies.row_of.size());
  for (size_t i = 0; i < copies.row_of.size(); ++i)
    copies.sources[next[copies.row_of[i]]++] = static_cast<int32_t>(i);
}

VarlenPlan plan_shared(const data::SegmentTable& table, const std::vector<int64_t>& queries) {
  VarlenPlan plan;
  // Queries of roots have no keys in `parent`, but stand between those of children: as sequences without keys
  // they cost next to nothing, while leaving them out would mean to copy q, the output and its gradient.
  int64_t without_keys = 0, query = 0;
  for (size_t s = 0; s < table.segments.size();) {
    const data::Segment& root = table.segments[s];
    plan.causal.add(queries[s], root.length);
    without_keys += queries[s];
    query += queries[s];
    int64_t remaining = 0;  // queries of the children
    for (++s; s < table.segments.size() && table.segments[s].parent >= 0; ++s) {
      plan.causal.add(queries[s], table.segments[s].length);
      remaining += queries[s];
    }
    if (remaining > 0 && without_keys > 0) plan.parent.add(std::exchange(without_keys, 0), 0);
    for (int64_t i = 0; i < remaining; ++i) plan.child_queries.push_back(static_cast<int32_t>(query++));
    for (; remaining > 0; remaining -= kParentQueries) {
      plan.parent.add(std::min(remaining, kParentQueries), root.length);
      copy_rows(plan.copies, root.begin, root.begin + root.length);
    }
  }
  if (!plan.parent.empty() && without_keys > 0) plan.parent.add(without_keys, 0);
  return plan;
}

VarlenPlan plan_gathered(const data::SegmentTable& table, const std::vector<int64_t>& queries,
                         int64_t window) {
  VarlenPlan plan;
  for (size_t s = 0; s < table.segments.size(); ++s) {
    if (queries[s] == 0) continue;
    const data::Segment& segment = table.segments[s];
    int64_t seen = 0;  // rows of the parent that the segment's first token sees
    if (segment.parent >= 0) {
      const data::Segment& parent = table.segments[segment.parent];
      seen = window > 0 ? std::min<int64_t>(parent.length, window - 1) : parent.length;
      copy_rows(plan.copies, parent.begin + parent.length - seen, parent.begin + parent.length);
    }
    copy_rows(plan.copies, segment.begin, segment.begin + segment.length);
    plan.causal.add(queries[s], seen + segment.length);
  }
  return plan;
}

}  // namespace

void VarlenSequences::add(int64_t num_queries, int64_t num_keys) {
  cu_q.push_back(cu_q.back() + static_cast<int32_t>(num_queries));
  cu_k.push_back(cu_k.back() + static_cast<int32_t>(num_keys));
  max_q = std::max(max_q, num_queries);
  max_k = std::max(max_k, num_keys);
}

int64_t effective_window(const data::SegmentTable& table, int64_t window) {
  for (const data::Segment& segment : table.segments)
    if (table.position_of(segment) + segment.length > window) return window;
  return 0;
}

std::optional<VarlenPlan> plan_varlen(const data::SegmentTable& table, const std::vector<int64_t>& query_rows,
                                      KeyLayout layout, int64_t window) {
  const std::optional<std::vector<int64_t>> queries = count_queries(table, query_rows);
  if (!queries) return std::nullopt;
  VarlenPlan plan =
      layout == KeyLayout::Shared ? plan_shared(table, *queries) : plan_gathered(table, *queries, window);
  invert(plan.copies, table.num_rows);
  return plan;
}

}  // namespace dmoerm::ops
