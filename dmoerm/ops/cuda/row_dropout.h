// Dropout by rows (row_dropout.h) on raw pointers of a GPU. Nothing here waits.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "dmoerm/ops/cuda/float_type.h"

namespace dmoerm::ops {

// y = mask * x * scale, or with `add` y += that. keys: hash of (seed, row key) of each row. x and y
// contiguous.
struct RowDropoutProblem {
  FloatType type;
  const void* x;
  void* y;
  const uint64_t* keys;
  int64_t rows, width;
  uint32_t threshold;
  float scale;
  bool add;
};
cudaError_t row_dropout(const RowDropoutProblem& problem, cudaStream_t stream);

}  // namespace dmoerm::ops
