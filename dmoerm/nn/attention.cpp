#include "dmoerm/nn/attention.h"

#include <fmt/format.h>

#include <cmath>

#include "dmoerm/ops/group_attention.h"

namespace dmoerm::nn {

Tensor attention(const ForwardPass& pass, int64_t layer, const Tensor& x_TD, const Rows& rows) {
  const DecoderConfig& config = pass.config();
  const std::string prefix = fmt::format("layers.{}.self_attn.", layer);
  const auto heads = [&](const char* name, const Tensor& x, const Rows& x_rows, int64_t count) {
    return pass.linear(prefix + name, x, x_rows).view({x.size(0), count, config.head_dim});
  };
  const Tensor q_QHC = pass.rotate(heads("q_proj", rows.select(x_TD), rows, config.num_heads), rows);
  const Tensor k_TGC =
      pass.rotate(heads("k_proj", x_TD, pass.all_rows(), config.num_kv_heads), pass.all_rows());
  const Tensor v_TGC = heads("v_proj", x_TD, pass.all_rows(), config.num_kv_heads);

  ops::GroupAttentionOptions options;
  options.segments = pass.segments();
  options.scale = 1 / std::sqrt(static_cast<double>(config.head_dim));
  options.window = config.window_of(layer);
  options.query_rows = rows.index;
  const Tensor out_QHC = ops::group_attention(q_QHC, k_TGC, v_TGC, options);
  return pass.linear(prefix + "o_proj", out_QHC.reshape({out_QHC.size(0), -1}), rows);
}

}  // namespace dmoerm::nn
