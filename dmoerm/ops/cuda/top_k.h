// The best experts of each row. Raw pointers on the GPU; contiguous.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace dmoerm::ops {

constexpr int64_t kMostColumns = 512;

// x [rows, columns] float32, columns at most kMostColumns -> best [rows, k]: the columns of the k largest,
// the largest first, of equals the first; NaN is the largest. k is at most `columns`.
struct TopK {
  const float* x;
  int64_t* best;
  int64_t num_rows, columns, k;
};
cudaError_t find_top_k(const TopK& top, cudaStream_t stream);

}  // namespace dmoerm::ops
