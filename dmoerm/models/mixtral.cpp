// Mixtral: Mistral with a MoE layer in place of every feed-forward layer. MixtralConfig of transformers 4
// and 5.
#include "dmoerm/models/common_config.h"
#include "dmoerm/models/family.h"
#include "dmoerm/models/moe_settings.h"

namespace dmoerm::models {
namespace {

nn::DecoderConfig read_mixtral(ConfigReader& config) {
  nn::DecoderConfig decoder =
      read_common_config(config, {.num_kv_heads = 8, .norm_eps = 1e-5, .rotary = {.theta = 1e6}});
  decoder.sliding_window = read_window(config, 0);
  nn::MoeConfig& moe = decoder.moe.emplace();
  moe.router.num_experts = read_num_experts(config, 8);
  moe.router.top_k = config.get<int64_t>("num_experts_per_tok", 2);
  moe.router.normalize = true;
  moe.intermediate_size = decoder.intermediate_size;
  ignore_router_training(config);
  decoder.validate(config.where());
  return decoder;
}

void write_mixtral(const nn::DecoderConfig& decoder, Json& config) {
  const nn::MoeConfig& moe = experts_of(decoder, "mixtral");
  write_common_config(decoder, config);
  config["sliding_window"] = decoder.sliding_window > 0 ? Json(decoder.sliding_window) : Json();
  config["num_local_experts"] = moe.router.num_experts;
  config["num_experts_per_tok"] = moe.router.top_k;
}

}  // namespace

const Family kMixtral = {
    "mixtral",
    "Mixtral",
    read_mixtral,
    write_mixtral,
    {.modules = {
         {"mlp.gate", {"block_sparse_moe.gate"}},
         {"mlp.experts.gate_up_proj",
          {"block_sparse_moe.experts.*.w1.weight", "block_sparse_moe.experts.*.w3.weight"}},
         {"mlp.experts.down_proj", {"block_sparse_moe.experts.*.w2.weight"}},
     }}};

}  // namespace dmoerm::models
