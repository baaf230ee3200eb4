// What a process sets once: threads, allocator, device.
#pragma once

#include "dmoerm/core/compat.h"

namespace dmoerm {

struct RuntimeOptions {
  int64_t threads = 0;         // 0: all cores. Binds both LibTorch and OpenBLAS.
  std::string device = "cpu";  // "cpu", "cuda", "cuda:N"
  std::string dtype = "auto";  // of matrix products: "float32", "bfloat16"; "auto": bfloat16 on CUDA alone
};

// Call before the first tensor. Returns the device; Error when it is not there.
torch::Device init_runtime(const RuntimeOptions& options);

torch::ScalarType compute_dtype(const RuntimeOptions& options, torch::Device device);

// Matrix-product rate of this process in FLOP/s, measured once (about 0.2 s) and kept: float32 on the CPU,
// bfloat16 on CUDA.
double measured_matmul_rate(torch::Device device);

}  // namespace dmoerm
