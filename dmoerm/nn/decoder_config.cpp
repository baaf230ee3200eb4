#include "dmoerm/nn/decoder_config.h"

#include "dmoerm/core/error.h"
#include "dmoerm/nn/activation.h"
#include "dmoerm/nn/rotary_frequencies.h"

namespace dmoerm::nn {
namespace {

void check_size(std::string_view where, const char* name, int64_t value, int64_t largest) {
  if (value < 1 || value > largest) fail(where, "{} is {}, expected 1 to {}", name, value, largest);
}

}  // namespace

void DecoderConfig::validate(std::string_view where) const {
  check_size(where, "vocab_size", vocab_size, int64_t{1} << 31);
  check_size(where, "hidden_size", hidden_size, 1 << 20);
  check_size(where, "intermediate_size", intermediate_size, 1 << 22);
  check_size(where, "number of layers", num_layers, 4096);
  check_size(where, "number of attention heads", num_heads, 1 << 16);
  check_size(where, "number of key/value heads", num_kv_heads, num_heads);
  check_size(where, "head_dim", head_dim, 1 << 16);
  if (num_heads % num_kv_heads != 0)
    fail(where, "{} attention heads are not a multiple of {} key/value heads", num_heads, num_kv_heads);
  if (head_dim % 2 != 0) fail(where, "head_dim is {}, expected an even number", head_dim);
  if (!(norm_eps >= 0 && norm_eps < 1)) fail(where, "norm epsilon is {}, expected 0 to 1", norm_eps);
  if (sliding_window < 0) fail(where, "sliding_window is {}, expected a positive number", sliding_window);
  if (!windowed_layers.empty() && static_cast<int64_t>(windowed_layers.size()) != num_layers)
    fail(where, "layer types are given for {} layers, the model has {}", windowed_layers.size(), num_layers);
  check_activation(activation, where);
  check_rotary(rotary, where);
}

int64_t DecoderConfig::window_of(int64_t layer) const {
  return windowed_layers.empty() || windowed_layers[layer] ? sliding_window : 0;
}

std::vector<LinearShape> DecoderConfig::linear_layers() const {
  std::vector<LinearShape> result;
  const int64_t q_size = num_heads * head_dim, kv_size = num_kv_heads * head_dim;
  for (int64_t layer = 0; layer < num_layers; ++layer) {
    const auto add = [&](const char* name, int64_t out, int64_t in, bool bias) {
      result.push_back({fmt::format("layers.{}.{}", layer, name), out, in, bias});
    };
    add("self_attn.q_proj", q_size, hidden_size, qkv_bias);
    add("self_attn.k_proj", kv_size, hidden_size, qkv_bias);
    add("self_attn.v_proj", kv_size, hidden_size, qkv_bias);
    add("self_attn.o_proj", hidden_size, q_size, o_bias);
    add("mlp.gate_proj", intermediate_size, hidden_size, mlp_bias);
    add("mlp.up_proj", intermediate_size, hidden_size, mlp_bias);
    add("mlp.down_proj", hidden_size, intermediate_size, mlp_bias);
  }
  return result;
}

int64_t DecoderConfig::num_matmul_parameters() const {
  int64_t total = 0;
  for (const LinearShape& linear : linear_layers()) total += linear.out * linear.in;
  return total;
}

}  // namespace dmoerm::nn
