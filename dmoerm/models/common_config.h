// Settings that the families share: sizes, norms, rotary positions, sliding windows.
#pragma once

#include <string>

#include "dmoerm/models/config_reader.h"
#include "dmoerm/nn/decoder_config.h"

namespace dmoerm::models {

// What a family's configuration class of transformers assumes where config.json is silent.
struct CommonDefaults {
  int64_t num_kv_heads = 0;  // 0: as many as attention heads
  int64_t head_dim = 0;      // 0: hidden_size / attention heads
  double norm_eps = 1e-6;
  std::string activation = "silu";
  nn::RotaryConfig rotary = {};
  double partial_rotary_factor = 1;  // 1: the family rotates whole heads, and another value is refused
};

// Sizes, activation, norm, rotary and tying; refuses what PretrainedConfig allows and no family here has
// (quantised weights, cross attention, …). The caller adds its own settings and validates the result.
nn::DecoderConfig read_common_config(ConfigReader& config, const CommonDefaults& defaults = {});
void write_common_config(const nn::DecoderConfig& decoder, Json& config);

// sliding_window: `fallback` where the file is silent, 0 (none) where it says null.
int64_t read_window(ConfigReader& config, int64_t fallback);

// The window of the Qwen families, which counts where use_sliding_window is set.
int64_t read_switched_window(ConfigReader& config);

// The same in the layers that layer_types says. A file without layer_types means the layers for which
// `windowed(layer, max_window_layers)` is true. `decoder` was validated.
using LayerRule = bool (*)(int64_t layer, int64_t max_window_layers);
bool from_max_window_layers(int64_t layer, int64_t max_window_layers);  // of Qwen2 and Qwen3
void read_layer_windows(ConfigReader& config, nn::DecoderConfig& decoder,
                        LayerRule windowed = from_max_window_layers);
void write_layer_windows(const nn::DecoderConfig& decoder, Json& config);

}  // namespace dmoerm::models
