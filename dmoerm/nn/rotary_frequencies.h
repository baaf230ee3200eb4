// Rotary frequencies of each kind, computed in float32 as transformers does.
#pragma once

#include <string_view>

#include "dmoerm/core/compat.h"
#include "dmoerm/nn/rotary_config.h"

namespace dmoerm::nn {

void check_rotary(const RotaryConfig& config, std::string_view where);  // Error naming the value

// Angle per position of each channel pair, for a sequence of `length` tokens (which counts for "dynamic"
// only): [channels / 2] float32.
Tensor rotary_frequencies(const RotaryConfig& config, int64_t channels, int64_t length = 0);

// Factor of cosines and sines.
double rotary_attention_factor(const RotaryConfig& config);

// yarn: 1 + 0.1 mscale log(factor).
double yarn_mscale(double factor, double mscale);

}  // namespace dmoerm::nn
