// Losses that keep a MoE router balanced and its logits small. T rows, E experts, G groups, L sparse layers.
//
// Balance: E * sum over e of f_e P_e, with f_e the share of the assignments that went to expert e and P_e the
// mean probability of e (scores divided by their sum); 1 when everything is even. The gradient flows through
// P alone. Switch Transformer arXiv 2101.03961, eq. 4, with f over all k choices. In a packed batch a shared
// token counts once.
//
// weight_T holds the weight of each row in the means: what a batch adds to a step's loss when the weights of
// the step's rows make 1. Without it a function is the loss of its rows alone. All are zero without rows.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "dmoerm/core/compat.h"
#include "dmoerm/nn/batch.h"
#include "dmoerm/nn/routing_trace.h"
#include "dmoerm/nn/step_rows.h"

namespace dmoerm::nn {

// Sum of the weights of the rows that were assigned to each expert, [E].
Tensor assignment_counts(const Routing& routing, const Tensor& weight_T);

Tensor balance_loss(const Routing& routing);
// share_E: f, of these rows or from elsewhere.
Tensor balance_loss(const Routing& routing, const Tensor& share_E, const Tensor& weight_T);
// With f of each group by itself: DeepSeek-V3's sequence-wise form when a group is a sequence. group_T: int64
// from 0 to below num_groups.
Tensor balance_loss_by_group(const Routing& routing, const Tensor& group_T, int64_t num_groups,
                             const Tensor& weight_T);

// Mean over rows of logsumexp(logits)^2. ST-MoE arXiv 2202.08906, eq. 5.
Tensor router_z_loss(const Routing& routing);
Tensor router_z_loss(const Routing& routing, const Tensor& weight_T);

// Assignments that are summed over several batches.
class LoadAverage {
 public:
  void add(int64_t layer, const Tensor& count_E);
  Tensor shares(int64_t layer) const;  // [E]

 private:
  std::map<int64_t, Tensor> counts_;
};

enum class BalanceScope { MicroBatch, Group, Global };

struct RouterLossOptions {
  double balance = 0, z = 0;  // weights; 0: none
  BalanceScope scope = BalanceScope::MicroBatch;
  bool active() const { return balance > 0 || z > 0; }
};

// Counted ahead where a batch does not hold all that f is of. `step`: of scope Global, all of the step's
// batches (arXiv 2501.11873; counts of other processes are added outside). `group`: of scope Group, where the
// batch is a part of one group.
struct StepLoads {
  std::optional<LoadAverage> step, group;
};

// Adds what a pass has assigned.
void count_assignments(const RoutingTrace& trace, const Batch& batch, const StepRows& step,
                       LoadAverage& load);

// What one forward pass adds to the weighted losses of its step, mean over the sparse layers; `step` knows
// all of the step's batches. None but the balance loss of scope MicroBatch, which is of each batch by itself,
// depends on how the step is cut into batches.
Tensor router_loss(const RoutingTrace& trace, const Batch& batch, const StepRows& step,
                   const RouterLossOptions& options, const StepLoads& loads);

}  // namespace dmoerm::nn
