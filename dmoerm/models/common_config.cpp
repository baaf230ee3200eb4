#include "dmoerm/models/common_config.h"

#include "dmoerm/core/log.h"
#include "dmoerm/nn/rotary_frequencies.h"

namespace dmoerm::models {
namespace {

// rope_scaling (transformers 4) or rope_parameters (5); the theta beside it or inside. In transformers 5 as
// well rope_scaling comes first.
nn::RotaryConfig read_rotary(ConfigReader& config) {
  nn::RotaryConfig rotary;
  rotary.theta = config.get("rope_theta", rotary.theta);
  const double max_position = config.get<double>("max_position_embeddings", 2048);
  const bool old_spelling = config.has("rope_scaling");
  const char* key = old_spelling ? "rope_scaling" : "rope_parameters";
  if (!old_spelling && !config.has("rope_parameters")) return rotary;

  ConfigReader rope(config.raw(key), fmt::format("{}: {}", config.where(), key));
  rotary.type = rope.get<std::string>("rope_type", rope.get<std::string>("type", "default"));
  rotary.theta = rope.get("rope_theta", rotary.theta);
  nn::check_rotary(rotary, rope.where());
  if (rotary.type != "default") rotary.factor = rope.required<double>("factor");
  if (rotary.type == "llama3") {
    rotary.low_freq_factor = rope.required<double>("low_freq_factor");
    rotary.high_freq_factor = rope.required<double>("high_freq_factor");
    rotary.original_max_position = rope.get("original_max_position_embeddings", max_position);
  }
  if (rope.get("partial_rotary_factor", 1.0) != 1.0)
    fail(rope.where(), "partial_rotary_factor is {}, expected 1", rope.raw("partial_rotary_factor").dump());
  rope.ignore({"factor", "original_max_position_embeddings"});
  for (const std::string& name : rope.unknown())
    fail(rope.where(), "\"{}\" is not supported with rotary type {}", name, rotary.type);
  return rotary;
}

void refuse_unsupported(ConfigReader& config) {
  for (const char* key : {"quantization_config", "pruned_heads", "is_encoder_decoder", "add_cross_attention",
                          "cross_attention_hidden_size"}) {
    const Json& value = config.raw(key);
    if (!value.is_null() && value != false && !value.empty())
      fail(config.where(), "\"{}\" is {}: not supported", key, value.dump());
  }
  if (config.get("partial_rotary_factor", 1.0) != 1.0)
    fail(config.where(), "partial_rotary_factor is {}, expected 1",
         config.raw("partial_rotary_factor").dump());
  if (config.get("attention_dropout", 0.0) != 0.0)
    log().warn("{}: attention_dropout {} is not used in training here", config.where(),
               config.raw("attention_dropout").dump());
}

Json rope_parameters(const nn::RotaryConfig& rotary) {
  Json rope = {{"rope_type", rotary.type}};
  if (rotary.type != "default") rope["factor"] = rotary.factor;
  if (rotary.type == "llama3") {
    rope["low_freq_factor"] = rotary.low_freq_factor;
    rope["high_freq_factor"] = rotary.high_freq_factor;
    rope["original_max_position_embeddings"] = static_cast<int64_t>(rotary.original_max_position);
  }
  return rope;
}

}  // namespace

nn::DecoderConfig read_common_config(ConfigReader& config) {
  refuse_unsupported(config);
  nn::DecoderConfig decoder;
  decoder.vocab_size = config.required<int64_t>("vocab_size");
  decoder.hidden_size = config.required<int64_t>("hidden_size");
  decoder.intermediate_size = config.required<int64_t>("intermediate_size");
  decoder.num_layers = config.required<int64_t>("num_hidden_layers");
  decoder.num_heads = config.required<int64_t>("num_attention_heads");
  decoder.num_kv_heads = config.get("num_key_value_heads", decoder.num_heads);
  decoder.head_dim = config.get<int64_t>("head_dim", 0);
  if (decoder.head_dim == 0) {
    if (decoder.num_heads < 1 || decoder.hidden_size % decoder.num_heads != 0)
      fail(config.where(), "hidden_size {} is not a multiple of {} attention heads, and there is no head_dim",
           decoder.hidden_size, decoder.num_heads);
    decoder.head_dim = decoder.hidden_size / decoder.num_heads;
  }
  decoder.norm_eps = config.get("rms_norm_eps", 1e-6);
  decoder.activation = config.get<std::string>("hidden_act", "silu");
  decoder.tied_embeddings = config.get("tie_word_embeddings", false);
  decoder.rotary = read_rotary(config);
  return decoder;
}

void write_common_config(const nn::DecoderConfig& decoder, Json& config) {
  config["vocab_size"] = decoder.vocab_size;
  config["hidden_size"] = decoder.hidden_size;
  config["intermediate_size"] = decoder.intermediate_size;
  config["num_hidden_layers"] = decoder.num_layers;
  config["num_attention_heads"] = decoder.num_heads;
  config["num_key_value_heads"] = decoder.num_kv_heads;
  config["head_dim"] = decoder.head_dim;
  config["rms_norm_eps"] = decoder.norm_eps;
  config["hidden_act"] = decoder.activation;
  config["tie_word_embeddings"] = decoder.tied_embeddings;
  const Json rope = rope_parameters(decoder.rotary);
  config["rope_theta"] = decoder.rotary.theta;
  config["rope_scaling"] = decoder.rotary.type == "default" ? Json() : rope;
  config["rope_parameters"] = rope;
  config["rope_parameters"]["rope_theta"] = decoder.rotary.theta;
}

}  // namespace dmoerm::models
