// Whether the vector kernels of cpu_kernels.h can work on a tensor in place.
#pragma once

#include "dmoerm/core/compat.h"

namespace dmoerm::ops {

inline bool is_cpu_float(const Tensor& x) {
  return x.device().is_cpu() && x.scalar_type() == torch::kFloat32 && x.is_contiguous();
}

}  // namespace dmoerm::ops
