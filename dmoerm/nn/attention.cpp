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

// Queries of `rows`, keys and values of all rows: [Q, H * C], [T, G * C] and [T, G * C].
std::vector<Tensor> products(const ForwardPass& pass, const std::string& prefix, const Tensor& x_TD,
                             const Rows& rows) {
  const Rows& all = pass.all_rows();
  const std::string q = prefix + "q_proj", k = prefix + "k_proj", v = prefix + "v_proj";
  const int64_t G = pass.config().num_kv_heads, H = pass.config().num_heads, C = pass.config().head_dim;
  if (!rows.index_Q.defined())
    if (const Tensor qkv = pass.joined_linear({q, k, v}, x_TD, all); qkv.defined())
      return qkv.split_with_sizes({H * C, G * C, G * C}, 1);
  return {pass.linear(q, rows.select(x_TD), rows), pass.linear(k, x_TD, all), pass.linear(v, x_TD, all)};
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
  const auto turned = [&](Tensor y, const char* norm, const Rows& y_rows, int64_t count) {
    if (config.query_key_norm == QueryKeyNorm::All) y = pass.norm(prefix + norm, y);
    y = heads(clipped(y), count);
    if (config.query_key_norm == QueryKeyNorm::Head) y = pass.norm(prefix + norm, y);
    return pass.rotate(y, y_rows);
  };
  const std::vector<Tensor> qkv = products(pass, prefix, x_TD, rows);
  return {turned(qkv[0], "q_norm", rows, config.num_heads),
          turned(qkv[1], "k_norm", pass.all_rows(), config.num_kv_heads),
          heads(clipped(qkv[2]), config.num_kv_heads)};
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
