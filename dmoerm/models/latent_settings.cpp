#include "dmoerm/models/latent_settings.h"

#include <algorithm>

#include "dmoerm/models/common_config.h"
#include "dmoerm/models/moe_settings.h"

namespace dmoerm::models {
namespace {

void read_latent_attention(ConfigReader& config, nn::DecoderConfig& decoder) {
  nn::LatentAttention& latent = decoder.latent.emplace();
  latent.query_rank = config.get<int64_t>("q_lora_rank", 1536, 0);
  latent.key_value_rank = config.required<int64_t>("kv_lora_rank");
  latent.plain_dim = config.required<int64_t>("qk_nope_head_dim");
  latent.rotary_dim = config.required<int64_t>("qk_rope_head_dim");
  latent.value_dim = config.required<int64_t>("v_head_dim");
  if (latent.query_rank < 0)
    fail(config.where(), "q_lora_rank is {}, expected a positive number", latent.query_rank);
  // Kept for readers of other tools; the numbers above count.
  for (const char* key : {"head_dim", "qk_head_dim"}) config.ignore({key});
  decoder.rotary_dim = 0;
  decoder.head_dim = 0;
  for (const int64_t dim : {latent.plain_dim, latent.rotary_dim}) {
    if (dim < 1 || dim > 1 << 16)
      fail(config.where(), "qk_nope_head_dim and qk_rope_head_dim are {} and {}, expected 1 to {}",
           latent.plain_dim, latent.rotary_dim, 1 << 16);
    decoder.head_dim += dim;
  }
}

void read_experts(ConfigReader& config, const DeepseekDefaults& defaults, nn::DecoderConfig& decoder) {
  const auto dense = config.get<int64_t>("first_k_dense_replace", defaults.dense_layers);
  if (dense < 0) fail(config.where(), "first_k_dense_replace is {}, expected none negative", dense);
  if (const auto step = config.get<int64_t>("moe_layer_freq", 1); step != 1)
    fail(config.where(), "moe_layer_freq is {}, expected 1", step);
  nn::MoeConfig moe;
  moe.router.num_experts = config.required<int64_t>("n_routed_experts");
  if (const auto alias = config.get(defaults.experts_alias, moe.router.num_experts);
      alias != moe.router.num_experts)
    fail(config.where(), "n_routed_experts is {} and {} is {}, expected the same", moe.router.num_experts,
         defaults.experts_alias, alias);
  moe.router.top_k = config.required<int64_t>("num_experts_per_tok");
  moe.router.scale = config.get("routed_scaling_factor", defaults.expert_scale);
  moe.intermediate_size = config.required<int64_t>("moe_intermediate_size");
  const auto shared = config.get<int64_t>("n_shared_experts", defaults.shared_experts, 0);
  if (shared < 0 || shared > 1 << 10)
    fail(config.where(), "n_shared_experts is {}, expected 0 to 1024", shared);
  if (moe.intermediate_size < 1 || moe.intermediate_size > 1 << 22)
    fail(config.where(), "moe_intermediate_size is {}, expected 1 to {}", moe.intermediate_size, 1 << 22);
  moe.shared_intermediate_size = shared * moe.intermediate_size;
  for (int64_t layer = 0; layer < decoder.num_layers; ++layer) moe.sparse_layers.push_back(layer >= dense);
  if (dense < decoder.num_layers) decoder.moe = moe;
}

}  // namespace

nn::DecoderConfig read_deepseek(ConfigReader& config, const DeepseekDefaults& defaults) {
  nn::DecoderConfig decoder = read_common_config(config, {.num_kv_heads = defaults.num_kv_heads});
  read_latent_attention(config, decoder);
  decoder.qkv_bias = decoder.o_bias = config.get("attention_bias", false);
  decoder.validate(config.where());  // the number of layers, before the loop over them
  read_experts(config, defaults, decoder);
  // Of training, of the layout on several machines, of layers that this one number does not reach.
  config.ignore({"aux_loss_alpha", "seq_aux", "ep_size", "pretraining_tp"});
  ignore_router_training(config);
  return decoder;
}

void write_deepseek(const nn::DecoderConfig& decoder, Json& config) {
  if (!decoder.latent) fail("deepseek", "cannot write a decoder without latent attention");
  const nn::LatentAttention& latent = *decoder.latent;
  write_common_config(decoder, config);
  config["head_dim"] = latent.rotary_dim;
  config["qk_head_dim"] = decoder.head_dim;
  config["q_lora_rank"] = latent.query_rank > 0 ? Json(latent.query_rank) : Json();
  config["kv_lora_rank"] = latent.key_value_rank;
  config["qk_nope_head_dim"] = latent.plain_dim;
  config["qk_rope_head_dim"] = latent.rotary_dim;
  config["v_head_dim"] = latent.value_dim;
  config["attention_bias"] = decoder.qkv_bias;
  int64_t dense = 0;
  while (dense < decoder.num_layers && !decoder.is_sparse(dense)) ++dense;
  config["first_k_dense_replace"] = dense;
  if (!decoder.moe) return;
  const nn::MoeConfig& moe = *decoder.moe;
  config["n_routed_experts"] = moe.router.num_experts;
  config["num_experts_per_tok"] = moe.router.top_k;
  config["routed_scaling_factor"] = moe.router.scale;
  config["moe_intermediate_size"] = moe.intermediate_size;
  config["n_shared_experts"] = moe.shared_intermediate_size / moe.intermediate_size;
  config["n_group"] = moe.router.num_groups;
  config["topk_group"] = moe.router.top_groups;
  config["norm_topk_prob"] = moe.router.normalize;
}

WeightNames deepseek_names() {
  WeightNames names = {.modules = stored_experts()};
  for (const StoredModule& module :
       {StoredModule{"mlp.shared_expert.gate_proj", {"mlp.shared_experts.gate_proj"}},
        StoredModule{"mlp.shared_expert.up_proj", {"mlp.shared_experts.up_proj"}},
        StoredModule{"mlp.shared_expert.down_proj", {"mlp.shared_experts.down_proj"}}})
    names.modules.push_back(module);
  return names;
}

}  // namespace dmoerm::models
