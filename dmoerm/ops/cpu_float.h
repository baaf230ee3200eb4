// Tensors as the vector kernels of cpu_kernels.h take them.
#pragma once

#include "dmoerm/core/compat.h"
#include "dmoerm/ops/cpu_kernels.h"

namespace dmoerm::ops {

// Whether they can work on it in place.
inline bool is_cpu_float(const Tensor& x) {
  return x.device().is_cpu() && x.scalar_type() == torch::kFloat32 && x.is_contiguous();
}

inline Bfloat16* bfloat16_data(const Tensor& x) {
  return reinterpret_cast<Bfloat16*>(x.data_ptr<at::BFloat16>());
}

}  // namespace dmoerm::ops
