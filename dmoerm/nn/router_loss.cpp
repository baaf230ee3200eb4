#include "dmoerm/nn/router_loss.h"

#include <algorithm>

#include "dmoerm/core/device_copy.h"
#include "dmoerm/core/error.h"

namespace dmoerm::nn {
namespace {

Tensor probabilities(const Routing& routing) {
  return routing.scores_TE / (routing.scores_TE.sum(1, true) + 1e-20);
}

// Weights whose sum makes means.
Tensor equal_weights(const Routing& routing) {
  const int64_t num_rows = routing.expert_Tk.size(0);
  return torch::full({num_rows}, 1.0 / static_cast<double>(std::max<int64_t>(1, num_rows)),
                     routing.scores_TE.options().requires_grad(false));
}

Tensor shares_of(const Tensor& count_E) {
  return count_E / count_E.sum(-1, true).clamp_min(1e-20);
}

// The assignments of each group's rows by expert, weighted, [G, E].
Tensor counts_of_groups(const Routing& routing, const Tensor& group_T, int64_t num_groups,
                        const Tensor& weight_T) {
  const int64_t num_experts = routing.num_experts(), top_k = routing.expert_Tk.size(1);
  const Tensor cell_Tk = group_T.unsqueeze(1) * num_experts + routing.expert_Tk;
  return torch::zeros({num_groups * num_experts}, weight_T.options())
      .index_add(0, cell_Tk.flatten(), weight_T.repeat_interleave(top_k))
      .view({num_groups, num_experts});
}

// A layer's rows with their weights and groups.
struct LayerRows {
  Tensor weight_T;  // 1 / copies
  Tensor group_T;
  double total = 0;  // of the weights in the step
};

// What the layers of a pass take of the step's rows.
class BatchRows {
 public:
  BatchRows(const Batch& batch, const StepRows& step, torch::TensorOptions options)
      : step_(step),
        weight_T_(copy_to_device(step.weights(batch), options.device()).to(options)),
        last_weight_T_(copy_to_device(step.last_weights(batch), options.device()).to(options)),
        group_T_(copy_to_device(step.groups(batch), options.device())) {}

  LayerRows of(const LayerRouting& layer) const {
    if (layer.rows.empty()) return {weight_T_, group_T_, step_.total()};
    const Tensor rows = copy_to_device(layer.rows, group_T_.device());
    return {last_weight_T_.index_select(0, rows), group_T_.index_select(0, rows), step_.total_last()};
  }

 private:
  const StepRows& step_;
  Tensor weight_T_, last_weight_T_, group_T_;
};

torch::TensorOptions options_of(const RoutingTrace& trace) {
  DMOERM_ASSERT(!trace.layers.empty());
  const Tensor& scores_TE = trace.layers[0].routing.scores_TE;
  return torch::TensorOptions(scores_TE.scalar_type()).device(scores_TE.device());
}

Tensor scoped_balance_loss(const LayerRouting& layer, const LayerRows& rows, const StepRows& step,
                           const RouterLossOptions& options, StepLoads& loads) {
  const Routing& routing = layer.routing;
  const Tensor count_E = assignment_counts(routing, rows.weight_T);
  if (options.scope == BalanceScope::MicroBatch)
    return balance_loss(routing, shares_of(count_E), rows.weight_T / rows.total);
  if (options.scope == BalanceScope::Global) {
    loads.step.add(layer.layer, count_E);
    return balance_loss(routing, loads.step.shares(layer.layer), rows.weight_T / rows.total);
  }
  const auto num_groups = static_cast<double>(step.num_groups());
  if (loads.group) {
    const double top_k = static_cast<double>(routing.expert_Tk.size(1));
    const Tensor group_rows = loads.group->total(layer.layer) / top_k;
    return balance_loss(routing, loads.group->shares(layer.layer), rows.weight_T / (group_rows * num_groups));
  }
  return balance_loss_by_group(routing, rows.group_T, step.num_groups(), rows.weight_T);
}

}  // namespace

Tensor assignment_counts(const Routing& routing, const Tensor& weight_T) {
  const Tensor group_T = torch::zeros({weight_T.size(0)}, routing.expert_Tk.options());
  return counts_of_groups(routing, group_T, 1, weight_T)[0];
}

Tensor balance_loss(const Routing& routing, const Tensor& share_E, const Tensor& weight_T) {
  return weight_T.matmul(probabilities(routing)).dot(share_E.detach()) * routing.num_experts();
}

Tensor balance_loss(const Routing& routing) {
  const Tensor weight_T = equal_weights(routing);
  return balance_loss(routing, shares_of(assignment_counts(routing, weight_T)), weight_T);
}

Tensor balance_loss_by_group(const Routing& routing, const Tensor& group_T, int64_t num_groups,
                             const Tensor& weight_T) {
  DMOERM_ASSERT(group_T.size(0) == routing.expert_Tk.size(0));
  const Tensor count_GE = counts_of_groups(routing, group_T, num_groups, weight_T);
  const Tensor rows_G = count_GE.sum(1) / routing.expert_Tk.size(1);
  const Tensor mean_T = weight_T / rows_G.clamp_min(1e-20).index_select(0, group_T);
  const Tensor share_TE = shares_of(count_GE).index_select(0, group_T);
  return ((share_TE * probabilities(routing)).sum(1) * mean_T).sum() * routing.num_experts() / num_groups;
}

Tensor router_z_loss(const Routing& routing, const Tensor& weight_T) {
  return routing.logits_TE.logsumexp(1).square().dot(weight_T);
}

Tensor router_z_loss(const Routing& routing) {
  return router_z_loss(routing, equal_weights(routing));
}

void LoadAverage::add(int64_t layer, const Tensor& count_E) {
  const auto [found, added] = counts_.emplace(layer, count_E.detach());
  if (!added) found->second = found->second + count_E.detach();
}

Tensor LoadAverage::shares(int64_t layer) const {
  return shares_of(counts_.at(layer));
}

Tensor LoadAverage::total(int64_t layer) const {
  return counts_.at(layer).sum();
}

void count_group(const RoutingTrace& trace, const Batch& batch, const StepRows& step, LoadAverage& group) {
  const BatchRows rows(batch, step, options_of(trace));
  for (const LayerRouting& layer : trace.layers)
    group.add(layer.layer, assignment_counts(layer.routing, rows.of(layer).weight_T));
}

Tensor router_loss(const RoutingTrace& trace, const Batch& batch, const StepRows& step,
                   const RouterLossOptions& options, StepLoads& loads) {
  const BatchRows batch_rows(batch, step, options_of(trace));
  Tensor total;
  for (const LayerRouting& layer : trace.layers) {
    const LayerRows rows = batch_rows.of(layer);
    Tensor loss = router_z_loss(layer.routing, rows.weight_T / rows.total) * options.z;
    if (options.balance > 0)
      loss = loss + scoped_balance_loss(layer, rows, step, options, loads) * options.balance;
    total = total.defined() ? total + loss : loss;
  }
  return total / static_cast<double>(trace.layers.size());
}

}  // namespace dmoerm::nn
