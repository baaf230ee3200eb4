// The rows of a MoE layer on their way to its experts and back. T rows, k experts a row, N sorted rows, D
// width. Raw pointers on the GPU at multiples of 16 bytes; all tensors contiguous. Nothing here waits.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "dmoerm/ops/cuda/float_type.h"

namespace dmoerm::ops {

// to[slot[t, j]] = from[t] for every j: from [T, D], to [N, D], whose rows have `row_bytes`, a multiple of
// 16; slot [T, k], each of N once, below 0: nowhere.
struct GatheredRows {
  const void* from;
  void* to;
  const int64_t* slot;
  int64_t num_rows, top_k, row_bytes;
};
cudaError_t gather_rows(const GatheredRows& rows, cudaStream_t stream);

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

// Backward of y[t] = sum over j of weight[t, j] * x[slot[t, j]]: with i = slot[t, j]
//   grad_x[i] = weight[t, j] * grad_y[t],    grad_weight[t, j] = sum over D of grad_y[t] * x[i]   in float32,
// which is 0 where i is below 0. grad_y [T, D]; x and grad_x [N, D]; weight, slot and grad_weight [T, k];
// either gradient may be null. Rows are multiples of 16 bytes.
struct CombineRowsBackward {
  FloatType type;
  const void *grad_y, *x;
  const float* weight;
  const int64_t* slot;
  void* grad_x;
  float* grad_weight;
  int64_t num_rows, top_k, width;
};
cudaError_t combine_rows_backward(const CombineRowsBackward& rows, cudaStream_t stream);

}  // namespace dmoerm::ops
