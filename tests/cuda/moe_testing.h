// What the tests of MoE layers on CUDA share.
#pragma once

#include <c10/cuda/CUDAFunctions.h>

#include <string>

#include "tests/ops/testing.h"

namespace dmoerm {

class CudaMoe : public testing::Test {
 protected:
  void SetUp() override {
    if (!torch::cuda::is_available()) GTEST_SKIP() << "no GPU";
  }
};

// Largest difference to float64 that a type is allowed, of the largest number.
inline double tolerance_of(torch::ScalarType type) {
  return type == torch::kFloat32 ? 1e-5 : 2e-2;
}

// Runs `op` with an error for everything that waits for the GPU.
template <typename Op>
void expect_no_wait(Op op, const std::string& what) {
  torch::cuda::synchronize();
  c10::cuda::warning_state().set_sync_debug_mode(c10::cuda::SyncDebugMode::L_ERROR);
  EXPECT_NO_THROW(op()) << what;
  c10::cuda::warning_state().set_sync_debug_mode(c10::cuda::SyncDebugMode::L_DISABLED);
}

}  // namespace dmoerm
