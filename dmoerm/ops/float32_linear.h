// A linear layer whose outputs are float32 whatever the type of its rows, as routers want it.
#pragma once

#include "dmoerm/core/compat.h"

namespace dmoerm::ops {

// x_TI [T, I], weight_OI [O, I] -> x W^T [T, O] in float32 (float64 for float64 rows), as if both had been
// converted before.
Tensor float32_linear(const Tensor& x_TI, const Tensor& weight_OI);

// x y for gradients that are added up: in float32 where x is bfloat16 or float16 and lies on a GPU, which
// sums in it anyhow; else in x's type.
Tensor float32_mm(const Tensor& x, const Tensor& y);

}  // namespace dmoerm::ops
