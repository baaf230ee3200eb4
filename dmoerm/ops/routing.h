// The choice of each row's experts and their weights. T rows, E experts, k experts a row.
#pragma once

#include <cstdint>

#include "dmoerm/core/compat.h"

namespace dmoerm::ops {

struct RoutingRule {
  int64_t top_k = 1;
  bool sigmoid = false;    // scores are the sigmoid of the logits; otherwise their softmax
  bool normalize = false;  // the weights of a row are divided by their sum
  double scale = 1;        // of the weights, in the end
  // The experts lie in num_groups equal groups, and a row takes experts of its best top_groups groups only. A
  // group's score is the sum of its best `group_best` scores.
  int64_t num_groups = 1, top_groups = 1, group_best = 1;
};

struct RoutedRows {
  Tensor scores_TE;  // in the type of the logits; differentiable
  Tensor expert_Tk;  // int64, the best first
  Tensor weight_Tk;  // differentiable
};

// logits_TE [T, E] float32 or float64. bias_E [E], or undefined, is added to the scores for the choice alone;
// no gradient goes through it.
RoutedRows route_rows(const Tensor& logits_TE, const Tensor& bias_E, const RoutingRule& rule);
RoutedRows route_rows_reference(const Tensor& logits_TE, const Tensor& bias_E, const RoutingRule& rule);

// x_TE [T, E] -> int64 [T, k]: the columns of each row's k largest numbers, the largest first; NaN is the
// largest of all. Not differentiable.
Tensor top_k(const Tensor& x_TE, int64_t k);

}  // namespace dmoerm::ops
