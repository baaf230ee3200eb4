// Gradients of a step that is cut into several backward passes.
#pragma once

#include "dmoerm/train/objective.h"

namespace dmoerm::train {

// Gives parameters narrower than float32 a float32 gradient of zeros, to which backward passes add: many
// small terms would be lost in a bfloat16 sum. Before the first of several passes.
inline void sum_gradients_in_float32(const NamedParameters& parameters) {
  for (const auto& [name, parameter] : parameters) {
    if (!is_narrow(parameter) || parameter.grad().defined() || !parameter.requires_grad()) continue;
    const Tensor handle = parameter;
    handle.mutable_grad() =
        torch::zeros(parameter.sizes(), parameter.options().dtype(torch::kFloat32).requires_grad(false));
  }
}

}  // namespace dmoerm::train
