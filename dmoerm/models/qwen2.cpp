// Qwen2 and Qwen2.5: biases on q, k and v, and a sliding window in some layers. Qwen2Config of transformers 4
// and 5.
#include <algorithm>

#include "dmoerm/models/common_config.h"
#include "dmoerm/models/family.h"

namespace dmoerm::models {
namespace {

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

// The window counts where layer_types says so or, in older files, from layer max_window_layers on.
void read_window(ConfigReader& config, nn::DecoderConfig& decoder) {
  const bool use_window = config.get("use_sliding_window", false);
  const int64_t window = config.has("sliding_window") ? config.required<int64_t>("sliding_window") : 0;
  const auto first = config.get<int64_t>("max_window_layers", 28);
  std::vector<bool> windowed;
  if (config.has("layer_types")) {
    windowed = read_layer_types(config);
  } else {
    for (int64_t layer = 0; layer < decoder.num_layers; ++layer)
      windowed.push_back(use_window && window > 0 && layer >= first);
  }
  if (std::ranges::find(windowed, true) == windowed.end()) return;
  if (!use_window || window <= 0)
    fail(config.where(),
         "layer_types has sliding_attention, but use_sliding_window or sliding_window is not set");
  decoder.sliding_window = window;
  decoder.windowed_layers = windowed;
}

nn::DecoderConfig read(ConfigReader& config) {
  nn::DecoderConfig decoder = read_common_config(config);
  decoder.qkv_bias = true;
  decoder.validate(config.where());
  read_window(config, decoder);
  decoder.validate(config.where());
  return decoder;
}

void write(const nn::DecoderConfig& decoder, Json& config) {
  if (!decoder.qkv_bias || decoder.o_bias || decoder.mlp_bias)
    fail("qwen2", "cannot write a decoder with other biases than those of q_proj, k_proj and v_proj");
  write_common_config(decoder, config);
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

}  // namespace

const Family kQwen2 = {"qwen2", "Qwen2", read, write};

}  // namespace dmoerm::models
