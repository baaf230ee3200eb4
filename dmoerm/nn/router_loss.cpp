#include "dmoerm/nn/router_loss.h"

#include <algorithm>

#include "dmoerm/core/error.h"

namespace dmoerm::nn {
namespace {

Tensor probabilities(const Routing& routing) {
  return routing.scores_TE / (routing.scores_TE.sum(1, true) + 1e-20);
}

// A zero that keeps the graph, so that it can be added to a loss and differentiated.
Tensor no_rows(const Routing& routing) {
  return routing.logits_TE.sum();
}

// The number of each row's tree, [T] int64.
Tensor tree_of_rows(const data::SegmentTable& table) {
  std::vector<int64_t> tree_T(table.num_rows);
  int64_t tree = -1;
  for (const data::Segment& segment : table.segments) {
    if (segment.parent < 0) ++tree;
    std::fill_n(tree_T.begin() + segment.begin, segment.length, tree);
  }
  return torch::tensor(tree_T, torch::kInt64);
}

Tensor scoped_balance_loss(const LayerRouting& layer, const Batch& batch, BalanceScope scope,
                           LoadAverage& load) {
  if (scope == BalanceScope::MicroBatch) return balance_loss(layer.routing);
  if (scope == BalanceScope::Global) {
    load.add(layer.layer, assignment_counts(layer.routing));
    return balance_loss(layer.routing, load.shares(layer.layer));
  }
  Tensor group_T = tree_of_rows(*batch.segments);
  if (!layer.rows.empty()) group_T = group_T.index_select(0, torch::tensor(layer.rows, torch::kInt64));
  return balance_loss_by_group(layer.routing, group_T.to(layer.routing.expert_Tk.device()));
}

}  // namespace

Tensor assignment_counts(const Routing& routing) {
  return torch::bincount(routing.expert_Tk.flatten(), {}, routing.num_experts())
      .to(routing.scores_TE.scalar_type());
}

Tensor balance_loss(const Routing& routing) {
  return balance_loss(routing, assignment_counts(routing) / std::max<int64_t>(1, routing.expert_Tk.numel()));
}

Tensor balance_loss(const Routing& routing, const Tensor& share_E) {
  if (routing.expert_Tk.size(0) == 0) return no_rows(routing);
  return (share_E.detach() * probabilities(routing).mean(0)).sum() * routing.num_experts();
}

Tensor balance_loss_by_group(const Routing& routing, const Tensor& group_T) {
  const int64_t num_rows = group_T.size(0), num_experts = routing.num_experts();
  DMOERM_ASSERT(num_rows == routing.expert_Tk.size(0));
  if (num_rows == 0) return no_rows(routing);
  const int64_t num_groups = group_T.max().item<int64_t>() + 1;
  const Tensor rows_G = torch::bincount(group_T, {}, num_groups).to(routing.scores_TE.scalar_type());
  const Tensor size_G1 = rows_G.clamp_min(1).unsqueeze(1);
  const Tensor cell_Tk = group_T.unsqueeze(1) * num_experts + routing.expert_Tk;
  const Tensor share_GE =
      torch::bincount(cell_Tk.flatten(), {}, num_groups * num_experts).view({num_groups, num_experts}) /
      (size_G1 * routing.expert_Tk.size(1));
  const Tensor probability_TE = probabilities(routing);
  const Tensor mean_GE = torch::zeros({num_groups, num_experts}, probability_TE.options())
                             .index_add(0, group_T, probability_TE) /
                         size_G1;
  return (share_GE * mean_GE).sum() * num_experts / (rows_G > 0).sum();
}

Tensor router_z_loss(const Routing& routing) {
  if (routing.logits_TE.size(0) == 0) return no_rows(routing);
  return routing.logits_TE.logsumexp(1).square().mean();
}

void LoadAverage::add(int64_t layer, const Tensor& count_E) {
  const auto [found, added] = counts_.emplace(layer, count_E.detach());
  if (!added) found->second = found->second + count_E.detach();
}

Tensor LoadAverage::shares(int64_t layer) const {
  const Tensor& count_E = counts_.at(layer);
  return count_E / count_E.sum().clamp_min(1);
}

Tensor router_loss(const RoutingTrace& trace, const Batch& batch, const RouterLossOptions& options,
                   LoadAverage& load) {
  DMOERM_ASSERT(!trace.layers.empty());
  Tensor total;
  for (const LayerRouting& layer : trace.layers) {
    Tensor loss = router_z_loss(layer.routing) * options.z;
    if (options.balance > 0)
      loss = loss + scoped_balance_loss(layer, batch, options.scope, load) * options.balance;
    total = total.defined() ? total + loss : loss;
  }
  return total / static_cast<double>(trace.layers.size());
}

}  // namespace dmoerm::nn
