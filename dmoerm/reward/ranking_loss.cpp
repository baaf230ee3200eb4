#include "dmoerm/reward/ranking_loss.h"

#include "dmoerm/core/device_copy.h"
#include "dmoerm/core/error.h"

namespace dmoerm::reward {

void RankingEdgeList::add_group(std::span<const data::Edge> edges, std::span<const int64_t> rows) {
  double total = 0;
  for (const auto& edge : edges) total += edge.weight;
  if (total <= 0) return;
  for (const auto& edge : edges) {
    DMOERM_ASSERT(edge.better < rows.size() && edge.worse < rows.size());
    better_.push_back(rows[edge.better]);
    worse_.push_back(rows[edge.worse]);
    weight_.push_back(static_cast<float>(edge.weight / total / static_cast<double>(num_groups_)));
    margin_.push_back(edge.margin);
  }
}

RankingEdges RankingEdgeList::build(torch::Device device) const {
  return {copy_to_device(better_, device), copy_to_device(worse_, device), copy_to_device(weight_, device),
          copy_to_device(margin_, device)};
}

}  // namespace dmoerm::reward
