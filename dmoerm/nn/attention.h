// Self-attention of one block: projections, rotary positions, group attention.
#pragma once

#include <string>

#include "dmoerm/nn/forward_pass.h"

namespace dmoerm::nn {

// x_TD [T, D], normed -> [Q, D]: the outputs of `rows`, which see every row that comes before them.
Tensor attention(const ForwardPass& pass, int64_t layer, const Tensor& x_TD, const Rows& rows);

}  // namespace dmoerm::nn
