// Rotary frequencies of each kind, computed in float32 as transformers does.
#pragma once

#include <string_view>

#include "dmoerm/core/compat.h"
#include "dmoerm/nn/decoder_config.h"

namespace dmoerm::nn {

void check_rotary(const RotaryConfig& config, std::string_view where);  // Error naming the value

// Angle per position of each channel pair: [head_dim / 2] float32.
Tensor rotary_frequencies(const RotaryConfig& config, int64_t head_dim);

}  // namespace dmoerm::nn
