// Queries, keys and values of multi-head latent attention (DeepSeek-V2, section 2.1), expanded for every
// head. T rows, Q rows that have a query, H heads, G key/value heads, C channels of queries and keys, V of
// values.
#pragma once

#include <string>

#include "dmoerm/nn/forward_pass.h"

namespace dmoerm::nn {

struct QueriesKeysValues {
  Tensor q_QHC, k_TGC, v_TGV;
};

// x_TD [T, D], normed; `prefix` of the layer names: "layers.0.self_attn.".
QueriesKeysValues latent_projections(const ForwardPass& pass, const std::string& prefix, const Tensor& x_TD,
                                     const Rows& rows);

}  // namespace dmoerm::nn
