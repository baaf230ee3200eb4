#include <c10/cuda/CUDAStream.h>

#include "dmoerm/core/error.h"
#include "dmoerm/ops/cuda_launch.h"
#include "dmoerm/ops/cuda_ops.h"

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

}  // namespace dmoerm::ops
