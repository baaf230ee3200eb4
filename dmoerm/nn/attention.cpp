#include "dmoerm/nn/attention.h"

#include <fmt/format.h>

#include "dmoerm/nn/latent_attention.h"
#include "dmoerm/ops/group_attention.h"

namespace dmoerm::nn {
namespace {

// One layer for all three: rows of its output are [heads, (q, k, v), C].
QueriesKeysValues fused_projections(const ForwardPass& pass, const std::string& prefix, const Tensor& x_TD,
                                    const Rows& rows) {
  const DecoderConfig& config = pass.config();
  const Tensor qkv_THNC = pass.linear(prefix + "qkv_proj", x_TD, pass.all_rows())
                              .view({x_TD.size(0), config.num_heads, 3, config.head_dim});
  return {pass.rotate(rows.select(qkv_THNC.select(2, 0)), rows),
          pass.rotate(qkv_THNC.select(2, 1), pass.all_rows()), qkv_THNC.select(2, 2)};
}

QueriesKeysValues projections(const ForwardPass& pass, const std::string& prefix, const Tensor& x_TD,
                              const Rows& rows) {
  const DecoderConfig& config = pass.config();
  const auto heads = [&](const Tensor& x, int64_t count) {
    return x.view({x.size(0), count, config.head_dim});
  };
  const auto clipped = [&](const Tensor& x) {
    return config.clip_qkv > 0 ? x.clamp(-config.clip_qkv, config.clip_qkv) : x;
  };
  // With its norm, where there is one, and turned.
  const auto turned = [&](const char* name, const char* norm, const Tensor& x, const Rows& x_rows,
                          int64_t count) {
    Tensor y = pass.linear(prefix + name, x, x_rows);
    if (config.query_key_norm == QueryKeyNorm::All) y = pass.norm(prefix + norm, y);
    y = heads(clipped(y), count);
    if (config.query_key_norm == QueryKeyNorm::Head) y = pass.norm(prefix + norm, y);
    return pass.rotate(y, x_rows);
  };
  return {turned("q_proj", "q_norm", rows.select(x_TD), rows, config.num_heads),
          turned("k_proj", "k_norm", x_TD, pass.all_rows(), config.num_kv_heads),
          heads(clipped(pass.linear(prefix + "v_proj", x_TD, pass.all_rows())), config.num_kv_heads)};
}

}  // namespace

Tensor attention(const ForwardPass& pass, int64_t layer, const Tensor& x_TD, const Rows& rows) {
  const DecoderConfig& config = pass.config();
  const std::string prefix = fmt::format("layers.{}.self_attn.", layer);
  const auto project = config.latent      ? latent_projections
                       : config.fused_qkv ? fused_projections
                                          : projections;
  const QueriesKeysValues x = project(pass, prefix, x_TD, rows);

  ops::GroupAttentionOptions options;
  options.segments = pass.segments();
  options.scale = config.attention_scale();
  options.window = config.window_of(layer);
  options.query_rows = rows.index;
  const Tensor out_QHV = ops::group_attention(x.q_QHC, x.k_TGC, x.v_TGV, options);
  return pass.linear(prefix + "o_proj", out_QHV.reshape({out_QHV.size(0), -1}), rows);
}

}  // namespace dmoerm::nn
