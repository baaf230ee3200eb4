#include "dmoerm/nn/latent_attention.h"

namespace dmoerm::nn {
namespace {

constexpr double kNormEps =
    1e-6;  // of the compressed states, whatever the configuration says for other norms

// Neighbouring pairs -> two halves. Queries and keys change alike, so the scores stay as they are.
Tensor halves(const Tensor& x_THR) {
  return x_THR.unflatten(2, std::vector<int64_t>{-1, 2}).transpose(2, 3).flatten(2);
}

Tensor rotate_halves(const ForwardPass& pass, const Tensor& x_THR, const Rows& rows) {
  return pass.rotate(pass.config().latent->interleaved ? halves(x_THR) : x_THR, rows);
}

Tensor queries(const ForwardPass& pass, const std::string& prefix, const Tensor& x_QD, const Rows& rows) {
  const LatentAttention& latent = *pass.config().latent;
  Tensor q = x_QD;
  if (latent.query_rank > 0)
    q = pass.norm(prefix + "q_a_layernorm", pass.linear(prefix + "q_a_proj", x_QD, rows), kNormEps);
  q = pass.linear(prefix + (latent.query_rank > 0 ? "q_b_proj" : "q_proj"), q, rows);
  const Tensor q_QHC = q.view({q.size(0), pass.config().num_heads, pass.config().head_dim});
  return torch::cat({q_QHC.narrow(2, 0, latent.plain_dim),
                     rotate_halves(pass, q_QHC.narrow(2, latent.plain_dim, latent.rotary_dim), rows)},
                    2);
}

}  // namespace

QueriesKeysValues latent_projections(const ForwardPass& pass, const std::string& prefix, const Tensor& x_TD,
                                     const Rows& rows) {
  const LatentAttention& latent = *pass.config().latent;
  const int64_t T = x_TD.size(0), H = pass.config().num_heads;
  const Rows& all = pass.all_rows();
  const Tensor compressed = pass.linear(prefix + "kv_a_proj_with_mqa", x_TD, all);
  const Tensor state =
      pass.norm(prefix + "kv_a_layernorm", compressed.narrow(1, 0, latent.key_value_rank), kNormEps);
  const Tensor expanded = pass.linear(prefix + "kv_b_proj", state, all).view({T, H, -1});
  const Tensor common_T1R =  // the rotated part of every head's key
      rotate_halves(pass, compressed.narrow(1, latent.key_value_rank, latent.rotary_dim).unsqueeze(1), all);
  return {
      queries(pass, prefix, rows.select(x_TD), rows),
      torch::cat({expanded.narrow(2, 0, latent.plain_dim), common_T1R.expand({T, H, latent.rotary_dim})}, 2),
      expanded.narrow(2, latent.plain_dim, latent.value_dim)};
}

}  // namespace dmoerm::nn
