// The ranking loss of every phase: Bradley-Terry over the edges of prompt groups.
// R sequences, E edges.
#pragma once

#include <span>
#include <vector>

#include "dmoerm/core/compat.h"
#include "dmoerm/data/prompt_group.h"

namespace dmoerm::reward {

struct RankingLossOptions {
  double label_smoothing = 0;  // eps in [0, 0.5]: (1 - eps) l(d) + eps l(-d), l(d) = -log sigmoid(d - margin)
  double centering = 0;        // c: adds c (r_better + r_worse)^2
};

// Edges between rows of a reward tensor. weight_E already holds the means (over a group's edges and over the
// step's groups), so that the loss of a step is the plain sum over its micro-batches, however it is cut.
struct RankingEdges {
  Tensor better_E, worse_E;   // int64
  Tensor weight_E, margin_E;  // float32
};

// Collects the edges of one micro-batch, group by group.
class RankingEdgeList {
 public:
  // `num_groups`: groups with edges in the whole optimizer step, over all of its micro-batches.
  explicit RankingEdgeList(int64_t num_groups) : num_groups_(num_groups) {}
  // rows[i] is the row of the reward tensor that holds the group's sequence i. Within the group an edge
  // counts by its weight's share. A group without edges, or whose weights sum to zero, adds nothing.
  void add_group(std::span<const data::Edge> edges, std::span<const int64_t> rows);
  RankingEdges build(torch::Device device = torch::kCPU) const;
  bool empty() const { return better_.empty(); }

 private:
  int64_t num_groups_;
  std::vector<int64_t> better_, worse_;
  std::vector<float> weight_, margin_;
};

// reward_R [R] -> scalar: the SUM of weighted terms, in float32 or wider; zero (and differentiable) without
// edges.
Tensor ranking_loss(const Tensor& reward_R, const RankingEdges& edges,
                    const RankingLossOptions& options = {});

}  // namespace dmoerm::reward
