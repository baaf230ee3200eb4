#include "dmoerm/reward/ranking_loss.h"

#include "dmoerm/core/device_copy.h"
#include "dmoerm/core/error.h"

namespace dmoerm::reward {

void RankingEdgeList::add_group(std::span<const data::Edge> edges, std::span<const int64_t> rows) {
  double total = 0;
  for (const auto& edge : edges) total += edge.weight;
  if (total <= 0) return;
  for (const auto& edge : edges) {
    DMOERM_ASSERT(edge.better < rows.size() && edge.worse < rows.size());
    better_.push_back(rows[edge.better]);
    worse_.push_back(rows[edge.worse]);
    weight_.push_back(static_cast<float>(edge.weight / total / static_cast<double>(num_groups_)));
    margin_.push_back(edge.margin);
  }
}

RankingEdges RankingEdgeList::build(torch::Device device) const {
  return {copy_to_device(better_, device), copy_to_device(worse_, device), copy_to_device(weight_, device),
          copy_to_device(margin_, device)};
}

Tensor ranking_loss(const Tensor& reward_R, const RankingEdges& edges, const RankingLossOptions& options) {
  const Tensor wide_R = reward_R.scalar_type() == torch::kDouble ? reward_R : reward_R.to(torch::kFloat);
  const Tensor better_E = wide_R.index_select(0, edges.better_E);
  const Tensor worse_E = wide_R.index_select(0, edges.worse_E);
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

}  // namespace dmoerm::reward
