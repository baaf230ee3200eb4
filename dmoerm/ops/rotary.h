// Rotary position embedding (Su et al. 2021), the half-split form of Llama.
#pragma once

#include "dmoerm/core/compat.h"

namespace dmoerm::ops {

// x_THC [T, H, C]; cos_TR, sin_TR [T, R/2] for the first R <= C channels (the rest pass through): for i < R/2
// y[i] = x[i] cos[i] - x[i + R/2] sin[i], y[i + R/2] = x[i + R/2] cos[i] + x[i] sin[i]. Differentiable in x.
Tensor rotary(const Tensor& x_THC, const Tensor& cos_TR, const Tensor& sin_TR);
Tensor rotary_reference(const Tensor& x_THC, const Tensor& cos_TR, const Tensor& sin_TR);

}  // namespace dmoerm::ops
