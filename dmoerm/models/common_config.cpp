#include "dmoerm/models/common_config.h"

#include <algorithm>

#include "dmoerm/core/log.h"
#include "dmoerm/models/rotary_settings.h"

namespace dmoerm::models {
namespace {

void refuse_unsupported(ConfigReader& config) {
  for (const char* key : {"quantization_config", "pruned_heads", "is_encoder_decoder", "add_cross_attention",
                          "cross_attention_hidden_size", "per_layer_config"}) {
    const Json& value = config.raw(key);
    if (!value.is_null() && value != false && !value.empty())
      fail(config.where(), "\"{}\" is {}: not supported", key, value.dump());
  }
  if (!config.get("is_causal", true, false))
    fail(config.where(), "\"is_causal\" is {}: attention to later tokens is not supported",
         config.raw("is_causal").dump());
  if (config.get("attention_dropout", 0.0) != 0.0)
    log().warn("{}: attention_dropout {} is not used in training here", config.where(),
               config.raw("attention_dropout").dump());
}

std::vector<bool> read_layer_types(ConfigReader& config) {
  std::vector<bool> windowed;
  const Json& types = config.raw("layer_types");
  if (!types.is_array()) fail(config.where(), "\"layer_types\" is {}, expected a list", json_kind(types));
  for (const Json& type : types) {
    if (type != "full_attention" && type != "sliding_attention")
      fail(config.where(), "layer type {} is not supported: expected full_attention or sliding_attention",
           type.dump());
    windowed.push_back(type == "sliding_attention");
  }
  return windowed;
}

}  // namespace

nn::DecoderConfig read_common_config(ConfigReader& config, const CommonDefaults& defaults) {
  refuse_unsupported(config);
  nn::DecoderConfig decoder;
  decoder.vocab_size = config.required<int64_t>("vocab_size");
  decoder.hidden_size = config.required<int64_t>("hidden_size");
  decoder.intermediate_size = config.required<int64_t>("intermediate_size");
  decoder.num_layers = config.required<int64_t>("num_hidden_layers");
  decoder.num_heads = config.required<int64_t>("num_attention_heads");
  // An explicit null means as many as attention heads, as in transformers.
  const bool assumed = defaults.num_kv_heads > 0 && !config.mentions("num_key_value_heads");
  decoder.num_kv_heads =
      config.get("num_key_value_heads", assumed ? defaults.num_kv_heads : decoder.num_heads);
  decoder.head_dim = config.get("head_dim", config.mentions("head_dim") ? 0 : defaults.head_dim);
  if (decoder.head_dim == 0) {
    if (decoder.num_heads < 1 || decoder.hidden_size % decoder.num_heads != 0)
      fail(config.where(), "hidden_size {} is not a multiple of {} attention heads, and there is no head_dim",
           decoder.hidden_size, decoder.num_heads);
    decoder.head_dim = decoder.hidden_size / decoder.num_heads;
  }
  decoder.norm_eps = config.get("rms_norm_eps", defaults.norm_eps);
  decoder.activation = config.get<std::string>("hidden_act", defaults.activation);
  decoder.tied_embeddings = config.get("tie_word_embeddings", false);
  const RotarySettings rotary = read_rotary(config, {defaults.rotary, defaults.partial_rotary_factor});
  decoder.rotary = rotary.rotary;
  if (defaults.partial_rotary_factor == 1 && rotary.partial_factor != 1)
    fail(config.where(), "partial_rotary_factor is {}, expected 1", rotary.partial_factor);
  if (!(rotary.partial_factor > 0 && rotary.partial_factor <= 1))
    fail(config.where(), "partial_rotary_factor is {}, expected more than 0, up to 1", rotary.partial_factor);
  decoder.rotary_dim = static_cast<int64_t>(static_cast<double>(decoder.head_dim) * rotary.partial_factor);
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
  const double partial =
      static_cast<double>(decoder.rotated_channels()) / static_cast<double>(decoder.head_dim);
  write_rotary({decoder.rotary, decoder.latent ? 1 : partial}, config);
}

int64_t read_window(ConfigReader& config, int64_t fallback) {
  if (!config.has("sliding_window")) return config.mentions("sliding_window") ? 0 : fallback;
  const auto window = config.required<int64_t>("sliding_window");
  if (window < 1) fail(config.where(), "sliding_window is {}, expected a positive number or null", window);
  return window;
}

int64_t read_switched_window(ConfigReader& config) {
  config.ignore({"sliding_window"});  // where it is switched off it may be anything
  return config.get("use_sliding_window", false) ? read_window(config, 4096) : 0;
}

bool from_max_window_layers(int64_t layer, int64_t max_window_layers) {
  return layer >= max_window_layers;
}

void read_layer_windows(ConfigReader& config, nn::DecoderConfig& decoder, LayerRule windowed) {
  const int64_t window = read_switched_window(config);
  const auto max_window_layers = config.get<int64_t>("max_window_layers", 28);
  std::vector<bool> layers;
  if (config.has("layer_types")) {
    layers = read_layer_types(config);
  } else {
    for (int64_t layer = 0; layer < decoder.num_layers; ++layer)
      layers.push_back(window > 0 && windowed(layer, max_window_layers));
  }
  if (std::ranges::find(layers, true) == layers.end()) return;
  if (window == 0)
    fail(config.where(),
         "layer_types has sliding_attention, but use_sliding_window or sliding_window is not set");
  decoder.sliding_window = window;
  decoder.windowed_layers = layers;
}

void write_layer_windows(const nn::DecoderConfig& decoder, Json& config) {
  std::vector<std::string> types;
  int64_t first = decoder.num_layers;  // of the windowed layers, for readers that do not know layer_types
  for (int64_t layer = 0; layer < decoder.num_layers; ++layer) {
    const bool windowed = decoder.window_of(layer) > 0;
    types.push_back(windowed ? "sliding_attention" : "full_attention");
    if (windowed) first = std::min(first, layer);
  }
  config["layer_types"] = types;
  config["max_window_layers"] = first;
  config["use_sliding_window"] = decoder.sliding_window > 0;
  config["sliding_window"] = decoder.sliding_window > 0 ? Json(decoder.sliding_window) : Json();
}

}  // namespace dmoerm::models
