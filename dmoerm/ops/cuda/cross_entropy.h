// Cross-entropy of rows of logits and its gradient in one launch. Raw pointers on the GPU; contiguous.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "dmoerm/ops/cuda/float_type.h"

namespace dmoerm::ops {

// loss[t] = log(sum over v of exp(x[t, v])) - x[t, target[t]] in float32; with a gradient x[t, v] becomes
// softmax(x[t])[v] - (v == target[t]). x [rows, columns], loss [rows] float32, target [rows] from 0 to below
// columns.
struct CrossEntropy {
  FloatType type;
  void* x;
  const int64_t* target;
  float* loss;
  int64_t rows, columns;
  bool with_gradient;
};
cudaError_t cross_entropy(const CrossEntropy& problem, cudaStream_t stream);

}  // namespace dmoerm::ops
