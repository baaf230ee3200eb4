// What DeepSeek-V2 and V3 share: latent attention, which layers are sparse, shared experts.
#pragma once

#include "dmoerm/models/config_reader.h"
#include "dmoerm/models/weight_names.h"
#include "dmoerm/nn/decoder_config.h"

namespace dmoerm::models {

// The whole decoder but for how the router scores and chooses.
nn::DecoderConfig read_deepseek(ConfigReader& config);
void write_deepseek(const nn::DecoderConfig& decoder, Json& config);

// Stored names of experts and shared experts.
WeightNames deepseek_names();

}  // namespace dmoerm::models
