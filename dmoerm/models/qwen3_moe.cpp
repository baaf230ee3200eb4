// Qwen3-MoE: Qwen3 with sparse layers. Qwen3MoeConfig of transformers 4 and 5.
#include "dmoerm/models/common_config.h"
#include "dmoerm/models/family.h"
#include "dmoerm/models/moe_settings.h"

namespace dmoerm::models {
namespace {

nn::DecoderConfig read_qwen3_moe(ConfigReader& config) {
  nn::DecoderConfig decoder = read_common_config(config, {.num_kv_heads = 4});
  decoder.query_key_norm = nn::QueryKeyNorm::Head;
  decoder.qkv_bias = decoder.o_bias = config.get("attention_bias", false);
  decoder.sliding_window = read_switched_window(config);  // in every layer, unlike Qwen2's
  config.ignore({"max_window_layers"});
  nn::MoeConfig& moe = decoder.moe.emplace();
  moe.router.num_experts = read_num_experts(config, 128);
  moe.router.top_k = config.get<int64_t>("num_experts_per_tok", 8);
  moe.router.normalize = config.get("norm_topk_prob", false);
  moe.intermediate_size = config.get<int64_t>("moe_intermediate_size", 768);
  ignore_router_training(config);
  decoder.validate(config.where());
  moe.sparse_layers = read_sparse_layers(config, decoder.num_layers);
  return decoder;
}

void write_qwen3_moe(const nn::DecoderConfig& decoder, Json& config) {
  const nn::MoeConfig& moe = experts_of(decoder, "qwen3_moe");
  write_common_config(decoder, config);
  write_sparse_layers(decoder, config);
  config["attention_bias"] = decoder.qkv_bias;
  config["use_sliding_window"] = decoder.sliding_window > 0;
  config["sliding_window"] = decoder.sliding_window > 0 ? Json(decoder.sliding_window) : Json();
  config["num_experts"] = config["num_local_experts"] = moe.router.num_experts;
  config["num_experts_per_tok"] = moe.router.top_k;
  config["norm_topk_prob"] = moe.router.normalize;
  config["moe_intermediate_size"] = moe.intermediate_size;
}

}  // namespace

const Family kQwen3Moe = {
    "qwen3_moe", "Qwen3Moe", read_qwen3_moe, write_qwen3_moe, {.modules = stored_experts()}};

}  // namespace dmoerm::models
