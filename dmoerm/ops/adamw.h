// AdamW (Loshchilov & Hutter 2019) in one pass over each parameter.
#pragma once

#include <span>

#include "dmoerm/core/compat.h"

namespace dmoerm::ops {

// A parameter with its gradient and its state, all of one shape.
struct AdamWSlot {
  Tensor parameter;  // what the model computes with: float32, or a narrower type with a master
  Tensor master;     // float32: updated in the parameter's place and rounded into it; undefined: none
  Tensor gradient;   // of any floating type; undefined: nothing is updated
  Tensor first_moment, second_moment;  // float32
};

struct AdamWStep {
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0.01;
  int64_t step = 1;  // from 1, for the bias correction
  // A float32 scalar beside the parameters by which gradients are multiplied; undefined: 1. Where it is not
  // above zero (NaN), nothing is updated.
  Tensor grad_scale = {};
};

// Updates in place, like torch.optim.AdamW: p -= lr*weight_decay*p, then the Adam step. On CUDA the host
// waits for nothing.
void adamw_(std::span<AdamWSlot> slots, const AdamWStep& options);
void adamw_reference_(std::span<AdamWSlot> slots, const AdamWStep& options);

// Euclidean norm over all gradients (undefined ones count as zero): a float64 scalar on their device.
Tensor global_norm(std::span<const Tensor> gradients);

// grad_scale for a gradient of that norm: min(1, limit / (norm + 1e-6)), or 1 without a limit (0); zero where
// the norm is not finite.
Tensor clip_scale(const Tensor& norm, double limit);

}  // namespace dmoerm::ops
