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

// [T, E]: 1 where a row takes an expert. Counts are sums of it: unlike bincount they need no wait for the
// GPU.
Tensor choices(const Routing& routing) {
  return torch::zeros(routing.scores_TE.sizes(), routing.scores_TE.options().requires_grad(false))
      .scatter(1, routing.expert_Tk, 1);
}

// A layer's rows in the means over its step.
struct LayerRows {
  Tensor weight_T;        // in the mean over all rows
  Tensor group_weight_T;  // in the mean over groups of the means over their rows
  Tensor group_T;
};

// What the layers of a pass take of the step's rows.
class BatchRows {
 public:
  BatchRows(const Batch& batch, const StepRows& step, torch::TensorOptions options) {
    const auto on_device = [&](const std::vector<float>& values) {
      return copy_to_device(values, options.device()).to(options);
    };
    const Tensor group_T = copy_to_device(step.groups(batch), options.device());
    const auto rows = [&](const Tensor& weight_T, double total, const Tensor& total_G) {
      const auto num_groups = static_cast<double>(step.num_groups());
      return LayerRows{weight_T / total, weight_T / (total_G.index_select(0, group_T) * num_groups), group_T};
    };
    all_ = rows(on_device(step.weights(batch)), step.total(), on_device(step.group_totals()));
    last_ = rows(on_device(step.last_weights(batch)), step.total_last(), on_device(step.group_last_totals()));
  }

  LayerRows of(const LayerRouting& layer) const {
    if (layer.rows.empty()) return all_;
    const Tensor rows = copy_to_device(layer.rows, last_.group_T.device());
    return {last_.weight_T.index_select(0, rows), last_.group_weight_T.index_select(0, rows),
            last_.group_T.index_select(0, rows)};
  }

 private:
  LayerRows all_, last_;
};

torch::TensorOptions options_of(const RoutingTrace& trace) {
  DMOERM_ASSERT(!trace.layers.empty());
  const Tensor& scores_TE = trace.layers[0].routing.scores_TE;
  return torch::TensorOptions(scores_TE.scalar_type()).device(scores_TE.device());
}

Tensor scoped_balance_loss(const LayerRouting& layer, const LayerRows& rows, const StepRows& step,
                           BalanceScope scope, const StepLoads& loads) {
  const Routing& routing = layer.routing;
  if (scope == BalanceScope::Group) {
    if (!loads.group)
      return balance_loss_by_group(routing, rows.group_T, step.num_groups(), rows.group_weight_T);
    return balance_loss(routing, loads.group->shares(layer.layer), rows.group_weight_T);
  }
  const bool counted = scope == BalanceScope::Global && loads.step;
  const Tensor share_E =
      counted ? loads.step->shares(layer.layer) : shares_of(assignment_counts(routing, rows.weight_T));
  return balance_loss(routing, share_E, rows.weight_T);
}

}  // namespace

Tensor assignment_counts(const Routing& routing, const Tensor& weight_T) {
  return weight_T.matmul(choices(routing));
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
  const Tensor count_GE = torch::zeros({num_groups, routing.num_experts()}, weight_T.options())
                              .index_add(0, group_T, choices(routing) * weight_T.unsqueeze(1));
  const Tensor share_GE = shares_of(count_GE);
  const Tensor term_T = (share_GE.index_select(0, group_T) * probabilities(routing)).sum(1);
  return term_T.dot(weight_T) * routing.num_experts();
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

void count_assignments(const RoutingTrace& trace, const Batch& batch, const StepRows& step,
                       LoadAverage& load) {
  const BatchRows rows(batch, step, options_of(trace));
  for (const LayerRouting& layer : trace.layers)
    load.add(layer.layer, assignment_counts(layer.routing, rows.of(layer).weight_T));
}

Tensor router_loss(const RoutingTrace& trace, const Batch& batch, const StepRows& step,
                   const RouterLossOptions& options, const StepLoads& loads) {
  const BatchRows batch_rows(batch, step, options_of(trace));
  Tensor total;
  for (const LayerRouting& layer : trace.layers) {
    const LayerRows rows = batch_rows.of(layer);
    Tensor loss = router_z_loss(layer.routing, rows.weight_T) * options.z;
    if (options.balance > 0)
      loss = loss + scoped_balance_loss(layer, rows, step, options.scope, loads) * options.balance;
    total = total.defined() ? total + loss : loss;
  }
  return total / static_cast<double>(trace.layers.size());
}

}  // namespace dmoerm::nn
