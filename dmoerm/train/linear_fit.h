// The fitted linear combination of expert scores: a logistic regression on score differences.
#pragma once

#include <vector>

#include "dmoerm/core/compat.h"
#include "dmoerm/reward/aggregator.h"
#include "dmoerm/train/preference_objective.h"

namespace dmoerm::train {

// Answers' states under K experts, and the preferences between them: what phase 3 learns from.
struct StateExamples {
  Tensor z_RKD;                                   // float32; may be a memory-mapped file
  std::vector<std::vector<data::Edge>> train, held_out;  // a list of edges for each group; indices are rows of z
};

// Minimises the mean over groups of the mean edge loss of r = sum_k c_k s_k, s the scores z_k . head_k standardised
// over all rows, plus l2/2 |c|^2, by Newton's method in float64.
reward::LinearCombination fit_linear(const StateExamples& examples, const Tensor& head_KD, double l2 = 1e-3);

}  // namespace dmoerm::train
