// AdamW and the gradient norm over many tensors at once, on raw pointers of a GPU. Nothing here waits.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "dmoerm/ops/cpu_kernels.h"
#include "dmoerm/ops/cuda/float_type.h"

namespace dmoerm::ops {

inline constexpr int kTensorsOfLaunch = 48;  // their table is a kernel's argument, of at most 4 KB

struct AdamWTensor {
  float *value, *first, *second;  // value: the parameter, or its master
  void* parameter;                // where the value is rounded into; null: nowhere
  const void* gradient;
  FloatType parameter_type, gradient_type;
  int64_t count;
};
struct AdamWTable {
  AdamWTensor tensors[kTensorsOfLaunch];
  int32_t first_block[kTensorsOfLaunch + 1];  // filled by adamw()
  int num_tensors;
  const float* grad_scale;   // null: 1
  AdamWConstants constants;  // its grad_scale is not used
};
cudaError_t adamw(AdamWTable& table, cudaStream_t stream);

struct NormTensor {
  const void* gradient;
  FloatType type;
  int64_t count;
};
struct NormTable {
  NormTensor tensors[kTensorsOfLaunch];
  int32_t first_block[kTensorsOfLaunch + 1];  // filled by squares()
  int num_tensors;
  double* partial;  // one sum of squares for each block
};
int64_t num_square_blocks(int64_t count);  // of a tensor
cudaError_t squares(NormTable& table, cudaStream_t stream);
// norm = square root of the sum of partial [count], always added in the same order.
cudaError_t root_of_sum(const double* partial, int64_t count, double* norm, cudaStream_t stream);

}  // namespace dmoerm::ops
