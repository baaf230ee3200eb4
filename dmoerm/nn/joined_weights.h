// Linear layers that share their input as one product: their weights side by side in memory.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "dmoerm/core/safetensors.h"
#include "dmoerm/nn/decoder_config.h"

namespace dmoerm::nn {

// Moves the weights (and biases) of q_proj, k_proj and v_proj, and of gate_proj and up_proj, next to each
// other: each stays a tensor of its own, which is a view of the joined one.
void join_weights(const DecoderConfig& config, NamedTensors& weights);

// Names of all weights of such a decoder, in an order that puts the projections which join_weights() joins
// next to each other.
std::vector<std::string> joined_order(const DecoderConfig& config);

// One tensor of all rows [sum of the parts' rows, …] without a copy, where the parts lie next to each other
// in this order; otherwise undefined. Gradients reach each part.
Tensor joined_rows(const std::vector<Tensor>& parts);

}  // namespace dmoerm::nn
