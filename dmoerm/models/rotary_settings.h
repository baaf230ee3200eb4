// Rotary settings of config.json in the old and the new spelling.
#pragma once

#include "dmoerm/models/config_reader.h"
#include "dmoerm/nn/rotary_config.h"

namespace dmoerm::models {

// rope_parameters (transformers 5), or rope_theta and rope_scaling (4); rope_scaling counts where both are
// given, as in transformers 5. Also the share of a head's channels that is rotated, 1 where nothing is said.
struct RotarySettings {
  nn::RotaryConfig rotary;
  double partial_factor = 1;
};
// `fallback` holds what the family assumes for theta and partial_factor.
RotarySettings read_rotary(ConfigReader& config, const RotarySettings& fallback = {});

// Sets both spellings.
void write_rotary(const RotarySettings& settings, Json& config);

}  // namespace dmoerm::models
