#include "dmoerm/ops/ranking_loss.h"

#include "dmoerm/ops/cuda_ops.h"

namespace dmoerm::ops {

Tensor ranking_loss_reference(const Tensor& reward_R, const RankingEdges& edges,
                              const RankingLossOptions& options) {
  const Tensor better_E = reward_R.index_select(0, edges.better_E);
  const Tensor worse_E = reward_R.index_select(0, edges.worse_E);
  const Tensor gap_E = better_E - worse_E;
  // -log sigmoid(x) = softplus(-x), which does not overflow.
  Tensor term_E = torch::softplus(edges.margin_E - gap_E);
  if (options.label_smoothing > 0) {
    const double eps = options.label_smoothing;
    term_E = (1 - eps) * term_E + eps * torch::softplus(edges.margin_E + gap_E);
  }
  if (options.centering > 0) term_E = term_E + options.centering * (better_E + worse_E).square();
  return (edges.weight_E * term_E).sum();
}

Tensor ranking_loss(const Tensor& reward_R, const RankingEdges& edges, const RankingLossOptions& options) {
  const Tensor wide_R = reward_R.scalar_type() == torch::kDouble ? reward_R : reward_R.to(torch::kFloat);
  return on_cuda(wide_R) ? ranking_loss_cuda(wide_R, edges, options)
                         : ranking_loss_reference(wide_R, edges, options);
}

}  // namespace dmoerm::ops
