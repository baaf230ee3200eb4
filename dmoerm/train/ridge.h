// Ridge regression of several targets on states, each on the rows that have it: the rating heads of ArmoRM
// (Wang et al. 2024, "Interpretable Preferences via Multi-Objective Reward Modeling and MoE", stage 1).
// R rows, D width, P targets.
#pragma once

#include <string>
#include <vector>

#include "dmoerm/core/compat.h"

namespace dmoerm::train {

struct RidgeData {
  Tensor z_RD;            // float32 or float64 on the CPU; may be a memory-mapped file
  Tensor target_RP;       // float64; NaN: the row does not have this target
  int64_t num_train = 0;  // the heads are fitted on the first rows, the others choose the penalty
};

struct RidgeFit {
  Tensor weight_PD, offset_P;          // float64: target = z . weight + offset
  std::vector<double> penalty;         // [P], the chosen ones
  std::vector<double> held_out_error;  // [P], mean squared, at the chosen penalty
};

// 1e-4, 1e-3 … 1e4.
std::vector<double> ridge_penalties();

// For each target the minimum over its training rows of sum (z . w + b - target)^2 + penalty |w|^2, in closed
// form in float64. The intercept b is not penalised (states and targets are centred by the target's own
// rows): heads that explain nothing give the mean rating. Of the penalties, all positive, the one with the
// smallest held-out error is taken, of equal ones the largest. Rows are streamed: what is held at once is the
// Gram matrix [D, D] of one target. `names` [P] are for messages. Error for a target without training or
// held-out rows, and for numbers that are not finite.
RidgeFit fit_ridge(const RidgeData& data, const std::vector<std::string>& names,
                   const std::vector<double>& penalties = ridge_penalties());

}  // namespace dmoerm::train
