// GPT-NeoX and Pythia: layer norms, one matrix for queries, keys and values, a part of each head rotated,
// attention and feed-forward beside each other. GPTNeoXConfig of transformers 4 (rotary_pct, rotary_emb_base)
// and 5.
#include "dmoerm/models/common_config.h"
#include "dmoerm/models/family.h"

namespace dmoerm::models {
namespace {

nn::DecoderConfig read_gpt_neox(ConfigReader& config) {
  CommonDefaults defaults = {.activation = "gelu"};
  defaults.rotary.theta = config.get("rotary_emb_base", 10000.0);
  defaults.partial_rotary_factor = config.get("rotary_pct", 0.25);
  // transformers takes the two settings under these names, or inside of rope_parameters, alone.
  if (const auto theta = config.get("rope_theta", defaults.rotary.theta); theta != defaults.rotary.theta)
    fail(config.where(), "rope_theta is {} and rotary_emb_base is {}, expected the same", theta,
         defaults.rotary.theta);
  if (const auto share = config.get("partial_rotary_factor", defaults.partial_rotary_factor);
      share != defaults.partial_rotary_factor)
    fail(config.where(), "partial_rotary_factor is {} and rotary_pct is {}, expected the same", share,
         defaults.partial_rotary_factor);
  nn::DecoderConfig decoder = read_common_config(config, defaults);
  if (decoder.num_kv_heads != decoder.num_heads ||
      decoder.num_heads * decoder.head_dim != decoder.hidden_size)
    fail(config.where(), "num_key_value_heads and head_dim cannot be set apart in model_type gpt_neox");
  decoder.norm = nn::NormKind::Layer;
  decoder.norm_eps = config.get("layer_norm_eps", 1e-5);
  decoder.qkv_bias = decoder.o_bias = config.get("attention_bias", true);
  decoder.mlp_bias = true;
  decoder.fused_qkv = true;
  decoder.gated_mlp = false;
  decoder.parallel_residual = config.get("use_parallel_residual", true);
  config.ignore({"hidden_dropout", "classifier_dropout"});  // of training and of token classifiers
  decoder.validate(config.where());
  return decoder;
}

void write_gpt_neox(const nn::DecoderConfig& decoder, Json& config) {
  write_common_config(decoder, config);
  for (const char* key : {"num_key_value_heads", "head_dim", "rms_norm_eps"}) config.erase(key);
  config["layer_norm_eps"] = decoder.norm_eps;
  config["attention_bias"] = decoder.qkv_bias;
  config["use_parallel_residual"] = decoder.parallel_residual;
  config["rotary_emb_base"] = decoder.rotary.theta;
  config["rotary_pct"] = config["rope_parameters"].value("partial_rotary_factor", 1.0);
}

const WeightNames kGptNeoxNames = {
    .prefix = "gpt_neox.",
    .lm_head = "embed_out.weight",
    .modules = {{"embed_tokens", {"embed_in"}},
                {"norm", {"final_layer_norm"}},
                {"self_attn.qkv_proj", {"attention.query_key_value"}},
                {"self_attn.o_proj", {"attention.dense"}},
                {"mlp.up_proj", {"mlp.dense_h_to_4h"}},
                {"mlp.down_proj", {"mlp.dense_4h_to_h"}}},
    .unused_suffixes = {"rotary_emb.inv_freq", "attention.bias", "attention.masked_bias"}};

}  // namespace

const Family kGptNeox = {"gpt_neox", "GPTNeoX", read_gpt_neox, write_gpt_neox, kGptNeoxNames};

}  // namespace dmoerm::models
