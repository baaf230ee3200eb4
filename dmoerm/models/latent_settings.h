// What DeepSeek-V2 and V3 share: latent attention, which layers are sparse, shared experts.
#pragma once

#include "dmoerm/models/config_reader.h"
#include "dmoerm/models/weight_names.h"
#include "dmoerm/nn/decoder_config.h"

namespace dmoerm::models {

// What the two configuration classes assume where config.json is silent.
struct DeepseekDefaults {
  int64_t num_kv_heads = 0;  // 0: as many as attention heads
  int64_t dense_layers = 0, shared_experts = 2;
  double expert_scale = 1;
  const char* experts_alias;  // another name of n_routed_experts
};

// The whole decoder but for how the router scores and chooses.
nn::DecoderConfig read_deepseek(ConfigReader& config, const DeepseekDefaults& defaults);
void write_deepseek(const nn::DecoderConfig& decoder, Json& config);

// Stored names of experts and shared experts.
WeightNames deepseek_names();

}  // namespace dmoerm::models
