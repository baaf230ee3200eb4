// The gated feed-forward part of a block: down(activation(gate(x)) * up(x)).
#pragma once

#include "dmoerm/nn/forward_pass.h"

namespace dmoerm::nn {

// x_QD [Q, D], normed -> [Q, D].
Tensor feed_forward(const ForwardPass& pass, int64_t layer, const Tensor& x_QD, const Rows& rows);

}  // namespace dmoerm::nn
