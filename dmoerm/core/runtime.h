// What a process sets once: threads, allocator, device.
#pragma once

#include "dmoerm/core/compat.h"

namespace dmoerm {

struct RuntimeOptions {
  int64_t threads = 0;         // 0: all cores. Binds both LibTorch and OpenBLAS.
  std::string device = "cpu";  // "cpu", "cuda", "cuda:N"
};

// Call before the first tensor. Returns the device; Error when it is not there.
torch::Device init_runtime(const RuntimeOptions& options);

// float32 matrix-product rate of this process in FLOP/s, measured once (about 0.2 s) and kept.
double measured_matmul_rate(torch::Device device);

}  // namespace dmoerm
