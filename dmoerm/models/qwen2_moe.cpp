// Qwen1.5-MoE and Qwen2-MoE: Qwen2 with sparse layers and a shared expert behind a sigmoid gate.
// Qwen2MoeConfig of transformers 4 and 5.
#include "dmoerm/models/common_config.h"
#include "dmoerm/models/family.h"
#include "dmoerm/models/moe_settings.h"

namespace dmoerm::models {
namespace {

// What a file without layer_types means to Qwen2MoeConfig; Qwen2's rule is another.
bool every_other_layer(int64_t layer, int64_t max_window_layers) {
  return layer % 2 == 0 && layer < max_window_layers;
}

nn::DecoderConfig read_qwen2_moe(ConfigReader& config) {
  nn::DecoderConfig decoder = read_common_config(config, {.num_kv_heads = 16});
  decoder.qkv_bias = config.get("qkv_bias", true);
  nn::MoeConfig& moe = decoder.moe.emplace();
  moe.router.num_experts = read_num_experts(config, 60);
  moe.router.top_k = config.get<int64_t>("num_experts_per_tok", 4);
  moe.router.normalize = config.get("norm_topk_prob", false);
  moe.intermediate_size = config.get<int64_t>("moe_intermediate_size", 1408);
  moe.shared_intermediate_size = config.get<int64_t>("shared_expert_intermediate_size", 5632);
  moe.shared_expert_gate = true;
  ignore_router_training(config);
  decoder.validate(config.where());
  moe.sparse_layers = read_sparse_layers(config, decoder.num_layers);
  read_layer_windows(config, decoder, every_other_layer);
  decoder.validate(config.where());
  return decoder;
}

void write_qwen2_moe(const nn::DecoderConfig& decoder, Json& config) {
  const nn::MoeConfig& moe = experts_of(decoder, "qwen2_moe");
  write_common_config(decoder, config);
  write_layer_windows(decoder, config);
  write_sparse_layers(decoder, config);
  config["qkv_bias"] = decoder.qkv_bias;
  config["num_experts"] = moe.router.num_experts;
  config["num_experts_per_tok"] = moe.router.top_k;
  config["norm_topk_prob"] = moe.router.normalize;
  config["moe_intermediate_size"] = moe.intermediate_size;
  config["shared_expert_intermediate_size"] = moe.shared_intermediate_size;
}

}  // namespace

const Family kQwen2Moe = {
    "qwen2_moe", "Qwen2Moe", read_qwen2_moe, write_qwen2_moe, {.modules = stored_experts()}};

}  // namespace dmoerm::models
