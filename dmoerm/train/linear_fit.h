// The fitted linear combination of expert scores: a logistic regression on score differences.
#pragma once

#include <vector>

#include "dmoerm/core/compat.h"
#include "dmoerm/reward/aggregator.h"
#include "dmoerm/train/preference_objective.h"

namespace dmoerm::train {

constexpr int64_t kStatesAtOnce = 4096;  // rows of a mapped file that are worked on at a time

// Answers' states under K experts, and the preferences between them: what phase 3 learns from.
struct StateExamples {
  Tensor z_RKD;  // float32; may be a memory-mapped file
  std::vector<std::vector<data::Edge>> train,
      held_out;  // a list of edges for each group; indices are rows of z
};

// r = sum_k coefficient_k (s_k - mean_k) / std_k over the scores s_k = z_k . head_k; float64 on the CPU.
struct LinearFit {
  Tensor mean_K, std_K, coefficient_K;

  std::vector<double> weights() const;  // of the raw scores, one each expert
  reward::LinearCombination combination(const Tensor& head_KD) const;
};

// Minimises the mean over groups of the mean edge loss, plus l2/2 |coefficient|^2, by Newton's method in
// float64. Scores are standardised over all rows. z_RKD may be [R, 1, D]: one state for all heads.
LinearFit fit_linear(const StateExamples& examples, const Tensor& head_KD, double l2 = 1e-3);

}  // namespace dmoerm::train
