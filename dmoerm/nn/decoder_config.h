// The shape of a decoder, whatever family it comes from.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dmoerm::nn {

// Rotary frequencies: "default", "linear" (positions divided by factor), "llama3" (Llama 3.1's smoothed
// frequencies).
struct RotaryConfig {
  std::string type = "default";
  double theta = 10000, factor = 1;
  double low_freq_factor = 1, high_freq_factor = 4, original_max_position = 8192;  // llama3
};

// A linear layer by canonical name, "layers.0.self_attn.q_proj": its weight is [out, in].
struct LinearShape {
  std::string name;
  int64_t out = 0, in = 0;
  bool bias = false;
};

struct DecoderConfig {
  int64_t vocab_size = 0, hidden_size = 0, intermediate_size = 0;
  int64_t num_layers = 0, num_heads = 0, num_kv_heads = 0, head_dim = 0;
  double norm_eps = 1e-6;
  RotaryConfig rotary;
  bool qkv_bias = false, o_bias = false, mlp_bias = false;
  std::string activation = "silu";
  int64_t sliding_window = 0;         // 0: none
  std::vector<bool> windowed_layers;  // which layers use it; empty: all
  bool tied_embeddings = false;       // lm_head is the embedding

  // Error, naming the value, for a shape that no decoder can have. `where` is the file or part that gave it.
  void validate(std::string_view where) const;
  int64_t window_of(int64_t layer) const;  // 0: none
  std::vector<LinearShape> linear_layers() const;
  // Multiply-add weights a token passes through, embeddings and heads not counted: for FLOP counts.
  int64_t num_matmul_parameters() const;
};

}  // namespace dmoerm::nn
