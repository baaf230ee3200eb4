// Activation recomputation (Chen et al. 2016): a part of a network that keeps its input alone and is computed
// again in the backward pass.
#pragma once

#include <functional>

#include "dmoerm/core/compat.h"

namespace dmoerm::nn {

// The residual stream between two parts of a decoder: x + delta, which the next norm adds up. [T, D]
struct Residual {
  Tensor x_TD;
  Tensor delta_TD;  // undefined: nothing to add
};

// part(input), with the same values and gradients (also of what the part holds, such as weights). `part` is
// called again while the gradient is taken, and what it refers to must live until then.
Residual recompute(std::function<Residual(const Residual&)> part, const Residual& input);

}  // namespace dmoerm::nn
