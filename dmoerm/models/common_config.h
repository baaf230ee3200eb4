// Settings that the families share: sizes, norms, rotary positions in the old and the new spelling.
#pragma once

#include "dmoerm/models/config_reader.h"
#include "dmoerm/nn/decoder_config.h"

namespace dmoerm::models {

// Sizes, activation, norm, rotary and tying; refuses what PretrainedConfig allows and no family here has
// (quantised weights, cross attention, …). The caller adds its own settings and validates the result.
nn::DecoderConfig read_common_config(ConfigReader& config);
void write_common_config(const nn::DecoderConfig& decoder, Json& config);

}  // namespace dmoerm::models
