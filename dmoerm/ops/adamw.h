// AdamW (Loshchilov & Hutter 2019) in one pass over each parameter.
#pragma once

#include <span>

#include "dmoerm/core/compat.h"

namespace dmoerm::ops {

struct AdamWStep {
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0.01;
  int64_t step = 1;       // from 1, for the bias correction
  double grad_scale = 1;  // the gradient is multiplied by it (clipping)
};

// Updates in place, like torch.optim.AdamW: p -= lr*weight_decay*p, then the Adam step. All float32, of one
// shape.
void adamw_(Tensor& parameter, const Tensor& gradient, Tensor& first_moment, Tensor& second_moment,
            const AdamWStep& options);
void adamw_reference_(Tensor& parameter, const Tensor& gradient, Tensor& first_moment, Tensor& second_moment,
                      const AdamWStep& options);

// Euclidean norm over all gradients (undefined ones count as zero), computed in float64.
double global_norm(std::span<const Tensor> gradients);

}  // namespace dmoerm::ops
