// Bradley-Terry's loss over the edges of prompt groups: the better answer's reward against the worse one's.
// R sequences, E edges.
#pragma once

#include "dmoerm/core/compat.h"

namespace dmoerm::ops {

struct RankingLossOptions {
  double label_smoothing = 0;  // eps in [0, 0.5]: (1 - eps) l(d) + eps l(-d), l(d) = -log sigmoid(d - margin)
  double centering = 0;        // c: adds c (r_better + r_worse)^2
};

// Edges between rows of a reward tensor, on its device.
struct RankingEdges {
  Tensor better_E, worse_E;   // int64
  Tensor weight_E, margin_E;  // float32
};

// reward_R [R] -> scalar: the SUM of weighted terms, in float32 or wider; zero (and differentiable) without
// edges. On a GPU one kernel each way, the same bits every time.
Tensor ranking_loss(const Tensor& reward_R, const RankingEdges& edges,
                    const RankingLossOptions& options = {});
Tensor ranking_loss_reference(const Tensor& reward_R, const RankingEdges& edges,
                              const RankingLossOptions& options = {});

}  // namespace dmoerm::ops
