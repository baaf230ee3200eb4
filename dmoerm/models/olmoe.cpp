// OLMoE: every layer sparse, RMS norms over all query and all key heads at once. OlmoeConfig of transformers
// 4 and 5.
#include "dmoerm/models/common_config.h"
#include "dmoerm/models/family.h"
#include "dmoerm/models/moe_settings.h"

namespace dmoerm::models {
namespace {

nn::DecoderConfig read_olmoe(ConfigReader& config) {
  nn::DecoderConfig decoder = read_common_config(config, {.norm_eps = 1e-5});
  decoder.query_key_norm = nn::QueryKeyNorm::All;
  decoder.qkv_bias = decoder.o_bias = config.get("attention_bias", false);
  if (config.has("clip_qkv")) {
    decoder.clip_qkv = config.required<double>("clip_qkv");
    if (!(decoder.clip_qkv > 0))
      fail(config.where(), "clip_qkv is {}, expected a positive number or null", decoder.clip_qkv);
  }
  nn::MoeConfig& moe = decoder.moe.emplace();
  moe.router.num_experts = read_num_experts(config, 64);
  moe.router.top_k = config.get<int64_t>("num_experts_per_tok", 8);
  moe.router.normalize = config.get("norm_topk_prob", false);
  moe.intermediate_size = decoder.intermediate_size;
  ignore_router_training(config);
  decoder.validate(config.where());
  return decoder;
}

void write_olmoe(const nn::DecoderConfig& decoder, Json& config) {
  const nn::MoeConfig& moe = experts_of(decoder, "olmoe");
  write_common_config(decoder, config);
  config["attention_bias"] = decoder.qkv_bias;
  config["clip_qkv"] = decoder.clip_qkv > 0 ? Json(decoder.clip_qkv) : Json();
  config["num_experts"] = moe.router.num_experts;
  config["num_experts_per_tok"] = moe.router.top_k;
  config["norm_topk_prob"] = moe.router.normalize;
}

}  // namespace

const Family kOlmoe = {"olmoe", "Olmoe", read_olmoe, write_olmoe, {.modules = stored_experts()}, false};

}  // namespace dmoerm::models
