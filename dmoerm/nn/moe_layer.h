// A sparse feed-forward layer in four steps: router -> dispatch -> experts -> weighted sum, and the shared
// expert beside it. Q rows, N sorted rows (Q * k when nothing is dropped), D width, F width of an expert.
//
// LoRA experts on it: a LoraExpert's pairs may name the experts' projections, see expert_set.h.
#pragma once

#include "dmoerm/nn/forward_pass.h"
#include "dmoerm/ops/moe_dispatch.h"

namespace dmoerm::nn {

// x_QD [Q, D], normed -> [Q, D].
Tensor moe_layer(const ForwardPass& pass, int64_t layer, const Tensor& x_QD, const Rows& rows);

// Whether LoRA experts have pairs on the stacked experts of the layer.
bool has_expert_pairs(const ForwardPass& pass, int64_t layer);

// The stacked experts "layers.N.mlp.experts": down(activation(gate(x)) * up(x)) of each sorted row by its own
// expert. x_ND [N, D] -> [N, D]. Where LoRA experts have pairs, the rows of an expert are sorted by LoRA
// expert: plan.offsets then has a group for each, behind a first one of the rows without.
Tensor moe_experts(const ForwardPass& pass, int64_t layer, const Tensor& x_ND, const ops::Dispatch& plan,
                   const Rows& rows);

}  // namespace dmoerm::nn
