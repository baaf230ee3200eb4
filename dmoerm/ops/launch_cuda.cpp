#include <c10/cuda/CUDAStream.h>

#include "dmoerm/core/error.h"
#include "dmoerm/ops/cuda_ops.h"
#include "dmoerm/ops/launch_cuda.h"

namespace dmoerm::ops {

bool on_cuda(const Tensor& x) {
  const auto type = x.scalar_type();
  return x.is_cuda() && (type == torch::kFloat32 || type == torch::kBFloat16 || type == torch::kFloat16);
}

void check_cuda(cudaError_t status, const char* op) {
  if (status != cudaSuccess) fail(op, "CUDA: {}", cudaGetErrorString(status));
}

cudaStream_t current_stream(const Tensor& x) {
  return c10::cuda::getCurrentCUDAStream(x.device().index()).stream();
}

FloatType float_type(const Tensor& x) {
  if (x.scalar_type() == torch::kFloat32) return FloatType::Float32;
  DMOERM_ASSERT(x.scalar_type() == torch::kBFloat16 || x.scalar_type() == torch::kFloat16);
  return x.scalar_type() == torch::kBFloat16 ? FloatType::BFloat16 : FloatType::Float16;
}

}  // namespace dmoerm::ops
