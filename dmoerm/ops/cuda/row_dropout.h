// Dropout by rows and weighted sums of rows, on raw pointers of a GPU. Nothing here waits.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "dmoerm/ops/cuda/float_type.h"

namespace dmoerm::ops {

// y = mask * x * scale, or y += that: row_dropout.h. keys: hash of (seed, row key) of each row. x and y
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

// y[t] = sum over j of weights[t, j] * x[slots[t, j]] in float32; a slot below 0 adds nothing. slots,
// weights: [rows, k]. All contiguous.
struct WeightedRows {
  FloatType type;
  const void* x;
  const int64_t* slots;
  const float* weights;
  void* y;
  int64_t rows, k, width;
};
cudaError_t weighted_rows(const WeightedRows& problem, cudaStream_t stream);

}  // namespace dmoerm::ops
