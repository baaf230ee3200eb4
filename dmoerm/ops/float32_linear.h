// A linear layer whose outputs are float32 whatever the type of its rows, as routers want it.
#pragma once

#include "dmoerm/core/compat.h"

namespace dmoerm::ops {

// x_TI [T, I], weight_OI [O, I] -> x W^T [T, O] in float32 (float64 for float64 rows), as if both had been
// converted before.
Tensor float32_linear(const Tensor& x_TI, const Tensor& weight_OI);

}  // namespace dmoerm::ops
