// How one call of group attention on the CPU is cut into tasks.
#pragma once

#include <vector>

#include "dmoerm/ops/cpu_kernels.h"
#include "dmoerm/ops/group_attention.h"

namespace dmoerm::ops {

struct AttentionPlan {
  std::vector<int64_t> positions;      // [Q]
  std::vector<int32_t> parents;        // [segments]
  std::vector<KeyBlock> blocks;        // of all segments, in row order
  std::vector<int64_t> block_offsets;  // [segments + 1]
  int64_t columns = 0;                 // sum of the blocks' padded widths
  // Blocks of queries for group 0, in row order; those of tree i are [tree_offsets[i], tree_offsets[i + 1]).
  std::vector<QueryTask> tasks;
  std::vector<int64_t> tree_offsets;
  int64_t max_queries = 0;  // of a task
};

// vector_width: floats; the blocks' columns are padded to it.
AttentionPlan plan_attention(const GroupAttentionOptions& options, int64_t heads_per_group,
                             int64_t vector_width);

}  // namespace dmoerm::ops
