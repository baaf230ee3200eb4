// What tensor code needs to launch our CUDA kernels: the stream, and errors as exceptions.
#pragma once

#include <cuda_runtime_api.h>

#include "dmoerm/core/compat.h"
#include "dmoerm/ops/cuda/float_type.h"

namespace dmoerm::ops {

// Throws Error "[op] CUDA: …" when a launch failed. `op` is the op's name.
void check_cuda(cudaError_t status, const char* op);

// The stream that LibTorch's own kernels on x's device run on, so that ours are in order with them.
cudaStream_t current_stream(const Tensor& x);

// The kernels' name of x's type; x is on_cuda().
FloatType float_type(const Tensor& x);

}  // namespace dmoerm::ops
