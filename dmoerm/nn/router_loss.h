// Losses that keep a MoE router balanced and its logits small. T rows, E experts, G groups, L sparse layers.
//
// Balance: E * sum over e of f_e P_e, with f_e the share of the assignments that went to expert e and P_e the
// mean probability of e (scores divided by their sum); 1 when everything is even. The gradient flows through
// P alone. Switch Transformer arXiv 2101.03961, eq. 4, with f over all k choices. In a packed batch a shared
// token is one row and counts once.
#pragma once

#include <cstdint>
#include <map>

#include "dmoerm/core/compat.h"
#include "dmoerm/nn/batch.h"
#include "dmoerm/nn/routing_trace.h"

namespace dmoerm::nn {

// Number of assignments of each expert, [E] float32.
Tensor assignment_counts(const Routing& routing);

// Over the rows of one micro-batch. Zero without rows, as all losses here.
Tensor balance_loss(const Routing& routing);
// With shares of the assignments from elsewhere: [E], the global scope (see LoadAverage).
Tensor balance_loss(const Routing& routing, const Tensor& share_E);
// Of each group by itself, then the mean over the groups that have rows: DeepSeek-V3's sequence-wise form
// when a group is a sequence. group_T: int64 from 0.
Tensor balance_loss_by_group(const Routing& routing, const Tensor& group_T);

// Mean over rows of logsumexp(logits)^2. ST-MoE arXiv 2202.08906, eq. 5.
Tensor router_z_loss(const Routing& routing);

// Shares of the assignments over an optimizer step's micro-batches (and processes, whose counts are added
// outside), for the global scope: arXiv 2501.11873.
class LoadAverage {
 public:
  void add(int64_t layer, const Tensor& count_E);
  Tensor shares(int64_t layer) const;  // [E], of what was added since reset()
  void reset() { counts_.clear(); }

 private:
  std::map<int64_t, Tensor> counts_;
};

enum class BalanceScope { MicroBatch, Group, Global };

struct RouterLossOptions {
  double balance = 0, z = 0;  // weights; 0: none
  BalanceScope scope = BalanceScope::MicroBatch;
  bool active() const { return balance > 0 || z > 0; }
};

// The weighted losses of one forward pass, mean over its sparse layers. A group is what shares a prefix: a
// tree of the batch's segments. Scope Global adds the pass's counts to `load`, which the caller resets at
// each step; its losses so see the step as far as it has come.
Tensor router_loss(const RoutingTrace& trace, const Batch& batch, const RouterLossOptions& options,
                   LoadAverage& load);

}  // namespace dmoerm::nn
