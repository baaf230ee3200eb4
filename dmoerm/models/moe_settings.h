// What the families with MoE layers share: which layers are sparse, and how experts are stored.
#pragma once

#include <vector>

#include "dmoerm/models/config_reader.h"
#include "dmoerm/models/weight_names.h"
#include "dmoerm/nn/decoder_config.h"

namespace dmoerm::models {

// num_experts or num_local_experts: the same under two names. Error when both are there and differ.
int64_t read_num_experts(ConfigReader& config, int64_t fallback);

// Of the Qwen families: every decoder_sparse_step-th layer but for mlp_only_layers. Empty: all layers.
std::vector<bool> read_sparse_layers(ConfigReader& config, int64_t num_layers);
void write_sparse_layers(const nn::DecoderConfig& decoder, Json& config);

// Error for a decoder without experts, which `family` cannot write.
const nn::MoeConfig& experts_of(const nn::DecoderConfig& decoder, const char* family);

// Settings that have an effect only in training: losses and noise of the router.
void ignore_router_training(ConfigReader& config);

// One tensor an expert: "mlp.experts.3.gate_proj.weight", "….up_proj.weight" and "….down_proj.weight".
std::vector<StoredModule> stored_experts();

}  // namespace dmoerm::models
