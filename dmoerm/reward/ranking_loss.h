// The ranking loss of every phase (ops/ranking_loss.h) over the edges of prompt groups.
#pragma once

#include <span>
#include <vector>

#include "dmoerm/data/prompt_group.h"
#include "dmoerm/ops/ranking_loss.h"

namespace dmoerm::reward {

using ops::ranking_loss;
using ops::RankingEdges;
using ops::RankingLossOptions;

// Collects the edges of one micro-batch, group by group. Their weights already hold the means (over a group's
// edges and over the step's groups), so that the loss of a step is the plain sum over its micro-batches,
// however it is cut.
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

}  // namespace dmoerm::reward
