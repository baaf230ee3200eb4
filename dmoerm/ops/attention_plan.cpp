#include "dmoerm/ops/attention_plan.h"

#include <algorithm>

#include "dmoerm/core/error.h"

namespace dmoerm::ops {
namespace {

void add_key_blocks(AttentionPlan& plan, const data::Segment& segment, int64_t position,
                    int64_t vector_width) {
  for (int64_t i = 0; i < segment.length; i += kKeyBlock) {
    const int64_t count = std::min<int64_t>(kKeyBlock, segment.length - i);
    const int64_t padded = (count + vector_width - 1) / vector_width * vector_width;
    plan.blocks.push_back({segment.begin + i, count, position + i, plan.columns, padded});
    plan.columns += padded;
  }
  plan.block_offsets.push_back(static_cast<int64_t>(plan.blocks.size()));
}

}  // namespace

AttentionPlan plan_attention(const GroupAttentionOptions& options, int64_t heads_per_group,
                             int64_t vector_width) {
  const data::SegmentTable& table = *options.segments;
  const std::vector<int64_t>& rows = options.query_rows;
  const int64_t num_queries = rows.empty() ? table.num_rows : static_cast<int64_t>(rows.size());
  const int64_t task_queries = std::max<int64_t>(1, kQueryBlockRows / heads_per_group);
  AttentionPlan plan;
  plan.positions.reserve(num_queries);
  plan.block_offsets.push_back(0);
  for (size_t s = 0; s < table.segments.size(); ++s) {
    const data::Segment& segment = table.segments[s];
    const int64_t end = segment.begin + segment.length, position = table.position_of(segment);
    if (segment.parent < 0) plan.tree_offsets.push_back(static_cast<int64_t>(plan.tasks.size()));
    plan.parents.push_back(segment.parent);
    add_key_blocks(plan, segment, position, vector_width);

    const auto first = static_cast<int64_t>(plan.positions.size());
    for (int64_t i = first; i < num_queries; ++i) {
      const int64_t row = rows.empty() ? i : rows[i];
      if (row >= end) break;
      plan.positions.push_back(row - segment.begin + position);
    }
    const auto last = static_cast<int64_t>(plan.positions.size());
    for (int64_t i = first; i < last; i += task_queries) {
      const int64_t count = std::min(task_queries, last - i);
      plan.tasks.push_back({static_cast<int64_t>(s), 0, i, count});
      plan.max_queries = std::max(plan.max_queries, count);
    }
  }
  plan.tree_offsets.push_back(static_cast<int64_t>(plan.tasks.size()));
  DMOERM_ASSERT(static_cast<int64_t>(plan.positions.size()) == num_queries);
  return plan;
}

}  // namespace dmoerm::ops
