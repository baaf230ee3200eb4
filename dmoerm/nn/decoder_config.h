// The shape of a decoder, whatever family it comes from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dmoerm/nn/moe_config.h"
#include "dmoerm/nn/rotary_config.h"

namespace dmoerm::nn {

// A linear layer by canonical name, "layers.0.self_attn.q_proj": its weight is [out, in]. The projections of
// a MoE layer's experts, "layers.0.mlp.experts.3.gate_proj", are `stacked`: slices of one tensor of all
// experts.
struct LinearShape {
  std::string name;
  int64_t out = 0, in = 0;
  bool bias = false, stacked = false;
};

enum class NormKind { Rms, Layer };  // Layer: mean and variance, with a bias

// RMS norms of queries and keys before the rotation: none, over each head, or over all heads at once.
enum class QueryKeyNorm { None, Head, All };

// Multi-head latent attention (DeepSeek-V2): keys and values are expanded from a compressed state, and each
// head has channels without positions and rotated ones, whose key is common to all heads.
struct LatentAttention {
  int64_t query_rank = 0;  // of the compressed queries; 0: not compressed
  int64_t key_value_rank = 0;
  int64_t plain_dim = 0, rotary_dim = 0;  // channels of a query or key head: plain ones first
  int64_t value_dim = 0;
  bool interleaved = true;  // the rotated channels are stored as pairs of neighbours, not as two halves

  bool operator==(const LatentAttention&) const = default;
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

  NormKind norm = NormKind::Rms;
  QueryKeyNorm query_key_norm = QueryKeyNorm::None;
  int64_t rotary_dim = 0;          // the first channels of a head, which are rotated; 0: all
  bool fused_qkv = false;          // one layer qkv_proj whose rows are [heads, (q, k, v), head_dim]
  bool gated_mlp = true;           // down(activation(gate) * up), or down(activation(up))
  double clip_qkv = 0;             // above 0: q (after its norm), k and v are cut to [-clip_qkv, clip_qkv]
  bool parallel_residual = false;  // x + attention(norm(x)) + mlp(norm'(x))
  std::optional<LatentAttention> latent;  // then head_dim is plain_dim + rotary_dim, and the last are rotated

  std::optional<MoeConfig> moe;  // of its sparse layers; the dense ones have intermediate_size

  bool operator==(const DecoderConfig&) const = default;
  // Error, naming the value, for a shape that no decoder can have. `where` is the file or part that gave it.
  void validate(std::string_view where) const;
  int64_t window_of(int64_t layer) const;  // 0: none
  bool is_sparse(int64_t layer) const { return moe && moe->is_sparse(layer); }
  int64_t value_dim() const { return latent ? latent->value_dim : head_dim; }
  int64_t rotated_channels() const;
  double attention_scale() const;  // of the scores
  std::vector<LinearShape> linear_layers() const;
  // Multiply-add weights a token passes through (of its experts alone), embeddings and heads not counted: for
  // FLOP counts.
  int64_t num_matmul_parameters() const;
  // About how many numbers a layer keeps of each row for its backward pass.
  int64_t values_kept_of_a_row() const;
};

}  // namespace dmoerm::nn
