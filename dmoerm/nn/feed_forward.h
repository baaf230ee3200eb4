// The gated feed-forward part of a block: down(activation(gate(x)) * up(x)).
#pragma once

#include "dmoerm/nn/forward_pass.h"

namespace dmoerm::nn {

// x_QD [Q, D], normed -> [Q, D]. `prefix` of the layers' names: "layers.0.mlp.".
Tensor feed_forward(const ForwardPass& pass, const std::string& prefix, const Tensor& x_QD, const Rows& rows);

}  // namespace dmoerm::nn
