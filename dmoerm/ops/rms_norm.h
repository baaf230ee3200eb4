// RMS norm (Zhang & Sennrich 2019): y = x / sqrt(mean(x^2) + eps) * weight, statistics in float32.
#pragma once

#include "dmoerm/core/compat.h"

namespace dmoerm::ops {

// x_TD [T, D], weight_D [D] -> [T, D] in x's dtype; differentiable.
Tensor rms_norm(const Tensor& x_TD, const Tensor& weight_D, double eps);
Tensor rms_norm_reference(const Tensor& x_TD, const Tensor& weight_D, double eps);

// A residual sum and its norm.
struct NormedSum {
  Tensor sum_TD, normed_TD;
};

// x + delta, and rms_norm of that; on CUDA in one pass.
NormedSum add_rms_norm(const Tensor& x_TD, const Tensor& delta_TD, const Tensor& weight_D, double eps);

}  // namespace dmoerm::ops
