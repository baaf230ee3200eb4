// Sorts the assignments of rows to experts (moe_dispatch.h). Raw pointers on the GPU; contiguous. Nothing
// here waits.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace dmoerm::ops {

constexpr int64_t kMostSortedExperts = 1024;

// expert [count], each from 0 to below num_experts (at most kMostSortedExperts) -> place [count]: the
// assignments by expert and, within an expert, in their order; slot [count]: where each went; end
// [num_experts]: where each expert's end. scratch [num_experts * sort_blocks(count)].
struct SortedAssignments {
  const int64_t* expert;
  int64_t *place, *slot;
  int32_t *end, *scratch;
  int64_t count, num_experts;
};
int64_t sort_blocks(int64_t count);
cudaError_t sort_assignments(const SortedAssignments& sorted, cudaStream_t stream);

}  // namespace dmoerm::ops
