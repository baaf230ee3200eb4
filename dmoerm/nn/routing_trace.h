// What one forward pass does with its MoE layers beyond computing them: a record of who went where, and the
// settings of training experiments.
#pragma once

#include <cstdint>
#include <vector>

#include "dmoerm/nn/router.h"

namespace dmoerm::nn {

// The routing of one sparse layer. `rows`: the batch's row of each routed row; empty: all rows in order (a
// last layer may compute only some). The tensors keep their graph, so that losses can be taken from them.
struct LayerRouting {
  int64_t layer = 0;
  std::vector<int64_t> rows;
  Routing routing;
  Tensor slot_Tk;  // below 0: dropped for want of capacity
};

// One entry for each sparse layer, in order; filled by a pass that is given it.
struct RoutingTrace {
  std::vector<LayerRouting> layers;
};

// Rewards are computed with the defaults: noise and capacity are for training experiments, where a sequence
// may depend on what else is in its batch.
struct RoutingOptions {
  RoutingTrace* trace = nullptr;
  double noise = 0;            // deviation of normal noise on the router logits
  uint64_t noise_seed = 0;     // of the step
  double capacity_factor = 0;  // rows of an expert over its even share; 0: dropless
};

}  // namespace dmoerm::nn
