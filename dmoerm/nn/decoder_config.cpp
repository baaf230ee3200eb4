#include "dmoerm/nn/decoder_config.h"

#include <cmath>
#include <functional>

#include "dmoerm/core/error.h"
#include "dmoerm/nn/activation.h"
#include "dmoerm/nn/rotary_frequencies.h"

namespace dmoerm::nn {
namespace {

void check_size(std::string_view where, const char* name, int64_t value, int64_t largest) {
  if (value < 1 || value > largest) fail(where, "{} is {}, expected 1 to {}", name, value, largest);
}

void check_latent(const LatentAttention& latent, const DecoderConfig& config, std::string_view where) {
  if (latent.query_rank != 0) check_size(where, "q_lora_rank", latent.query_rank, 1 << 20);
  check_size(where, "kv_lora_rank", latent.key_value_rank, 1 << 20);
  check_size(where, "qk_nope_head_dim", latent.plain_dim, 1 << 16);
  check_size(where, "qk_rope_head_dim", latent.rotary_dim, 1 << 16);
  check_size(where, "v_head_dim", latent.value_dim, 1 << 16);
  DMOERM_ASSERT(config.head_dim == latent.plain_dim + latent.rotary_dim);
  if (config.num_kv_heads != config.num_heads)
    fail(where, "found {} key/value heads, expected {} as attention heads: latent attention expands all",
         config.num_kv_heads, config.num_heads);
}

void check_rotated_channels(const DecoderConfig& config, std::string_view where) {
  const int64_t channels = config.rotated_channels();
  const int64_t most = config.latent ? config.latent->rotary_dim : config.head_dim;
  const int64_t least = config.rotary.type == "dynamic" ? 4 : 2;  // its exponent is C / (C - 2)
  if (channels < least || channels > most || channels % 2 != 0)
    fail(where, "{} channels of a head are rotated, expected an even number from {} to {}", channels, least,
         most);
}

using AddLinear = std::function<void(const std::string& name, int64_t out, int64_t in, bool bias)>;

void add_attention(const DecoderConfig& config, const AddLinear& add) {
  const int64_t D = config.hidden_size, H = config.num_heads, C = config.head_dim;
  if (const auto& latent = config.latent) {
    if (latent->query_rank == 0) {
      add("self_attn.q_proj", H * C, D, false);
    } else {
      add("self_attn.q_a_proj", latent->query_rank, D, config.qkv_bias);
      add("self_attn.q_b_proj", H * C, latent->query_rank, false);
    }
    add("self_attn.kv_a_proj_with_mqa", latent->key_value_rank + latent->rotary_dim, D, config.qkv_bias);
    add("self_attn.kv_b_proj", H * (latent->plain_dim + latent->value_dim), latent->key_value_rank, false);
  } else if (config.fused_qkv) {
    add("self_attn.qkv_proj", 3 * H * C, D, config.qkv_bias);
  } else {
    add("self_attn.q_proj", H * C, D, config.qkv_bias);
    add("self_attn.k_proj", config.num_kv_heads * C, D, config.qkv_bias);
    add("self_attn.v_proj", config.num_kv_heads * C, D, config.qkv_bias);
  }
  add("self_attn.o_proj", D, H * config.value_dim(), config.o_bias);
}

void add_feed_forward(const DecoderConfig& config, const AddLinear& add) {
  if (config.gated_mlp) add("mlp.gate_proj", config.intermediate_size, config.hidden_size, config.mlp_bias);
  add("mlp.up_proj", config.intermediate_size, config.hidden_size, config.mlp_bias);
  add("mlp.down_proj", config.hidden_size, config.intermediate_size, config.mlp_bias);
}

// The projections of the experts, slices of stacked tensors, and the layers beside them.
void add_moe(const DecoderConfig& config, int64_t layer, std::vector<LinearShape>& result) {
  const int64_t D = config.hidden_size, F = config.moe->intermediate_size;
  const int64_t S = config.moe->shared_intermediate_size;
  const std::string prefix = fmt::format("layers.{}.mlp.", layer);
  for (int64_t expert = 0; expert < config.moe->router.num_experts; ++expert) {
    const std::string name = fmt::format("{}experts.{}.", prefix, expert);
    result.push_back({name + "gate_proj", F, D, false, true});
    result.push_back({name + "up_proj", F, D, false, true});
    result.push_back({name + "down_proj", D, F, false, true});
  }
  if (S == 0) return;
  result.push_back({prefix + "shared_expert.gate_proj", S, D});
  result.push_back({prefix + "shared_expert.up_proj", S, D});
  result.push_back({prefix + "shared_expert.down_proj", D, S});
  if (config.moe->shared_expert_gate) result.push_back({prefix + "shared_expert_gate", 1, D});
}

}  // namespace

void DecoderConfig::validate(std::string_view where) const {
  check_size(where, "vocab_size", vocab_size, int64_t{1} << 31);
  check_size(where, "hidden_size", hidden_size, 1 << 20);
  check_size(where, "intermediate_size", intermediate_size, 1 << 22);
  check_size(where, "number of layers", num_layers, 4096);
  check_size(where, "number of attention heads", num_heads, 1 << 16);
  check_size(where, "number of key/value heads", num_kv_heads, num_heads);
  check_size(where, "head_dim", head_dim, 1 << 17);
  if (num_heads % num_kv_heads != 0)
    fail(where, "{} attention heads are not a multiple of {} key/value heads", num_heads, num_kv_heads);
  if (head_dim % 2 != 0) fail(where, "head_dim is {}, expected an even number", head_dim);
  if (!(norm_eps >= 0 && norm_eps < 1)) fail(where, "norm epsilon is {}, expected 0 to 1", norm_eps);
  if (!(clip_qkv >= 0)) fail(where, "clip_qkv is {}, expected a positive number", clip_qkv);
  if (sliding_window < 0) fail(where, "sliding_window is {}, expected a positive number", sliding_window);
  if (!windowed_layers.empty() && static_cast<int64_t>(windowed_layers.size()) != num_layers)
    fail(where, "layer types are given for {} layers, the model has {}", windowed_layers.size(), num_layers);
  DMOERM_ASSERT(!fused_qkv || num_kv_heads == num_heads);
  if (latent) check_latent(*latent, *this, where);
  check_activation(activation, where);
  check_rotary(rotary, where);
  check_rotated_channels(*this, where);
  DMOERM_ASSERT(!moe || gated_mlp);
  if (moe) moe->validate(num_layers, where);
}

int64_t DecoderConfig::window_of(int64_t layer) const {
  return windowed_layers.empty() || windowed_layers[layer] ? sliding_window : 0;
}

int64_t DecoderConfig::rotated_channels() const {
  if (latent) return latent->rotary_dim;
  return rotary_dim > 0 ? rotary_dim : head_dim;
}

double DecoderConfig::attention_scale() const {
  const double plain = 1 / std::sqrt(static_cast<double>(head_dim));
  if (!latent || rotary.mscale_all_dim == 0) return plain;
  return plain * std::pow(yarn_mscale(rotary.factor, rotary.mscale_all_dim), 2);
}

std::vector<LinearShape> DecoderConfig::linear_layers() const {
  std::vector<LinearShape> result;
  for (int64_t layer = 0; layer < num_layers; ++layer) {
    const auto add = [&](const std::string& name, int64_t out, int64_t in, bool bias) {
      result.push_back({fmt::format("layers.{}.{}", layer, name), out, in, bias});
    };
    add_attention(*this, add);
    if (is_sparse(layer))
      add_moe(*this, layer, result);
    else
      add_feed_forward(*this, add);
  }
  return result;
}

int64_t DecoderConfig::num_matmul_parameters() const {
  int64_t total = 0, stacked = 0;
  for (const LinearShape& linear : linear_layers())
    (linear.stacked ? stacked : total) += linear.out * linear.in;
  if (stacked == 0) return total;
  for (int64_t layer = 0; layer < num_layers; ++layer)
    if (is_sparse(layer)) total += moe->router.num_experts * hidden_size;
  return total + stacked / moe->router.num_experts * moe->router.top_k;
}

int64_t DecoderConfig::values_kept_of_a_row() const {
  // The two sums and their norms; queries, keys and values as projected and as turned, and what they give.
  const int64_t attention = 4 * hidden_size + 3 * (num_heads + num_kv_heads) * head_dim;
  if (!moe) return attention + 3 * intermediate_size;
  const int64_t expert = 2 * hidden_size + 3 * moe->intermediate_size;
  return attention + moe->router.top_k * expert + 3 * moe->shared_intermediate_size;
}

}  // namespace dmoerm::nn
