// The type in which numbers are added up.
#pragma once

#include "dmoerm/core/compat.h"

namespace dmoerm::ops {

// float32 at least.
inline torch::ScalarType sum_type(const Tensor& x) {
  return x.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
}

}  // namespace dmoerm::ops
