#include "dmoerm/train/row_batch.h"

#include <unordered_map>

#include "dmoerm/core/device_copy.h"
#include "dmoerm/core/device_memory.h"

namespace dmoerm::train {

RowBatch rows_of(const EdgeLists& groups, torch::Device device) {
  std::vector<int64_t> rows, identity;  // used rows; 0, 1, 2, …
  std::unordered_map<int64_t, int64_t> place;
  reward::RankingEdgeList list(static_cast<int64_t>(groups.size()));
  for (const auto* edges : groups) {
    std::vector<data::Edge> local(*edges);
    for (data::Edge& edge : local)
      for (int32_t* side : {&edge.better, &edge.worse}) {
        const auto [found, added] = place.emplace(*side, rows.size());
        if (added) rows.push_back(*side);
        *side = static_cast<int32_t>(found->second);
      }
    while (identity.size() < rows.size()) identity.push_back(static_cast<int64_t>(identity.size()));
    list.add_group(local, identity);  // the edges already name places in `rows`
  }
  return {torch::tensor(rows), list.build(device)};
}

DeviceRows::DeviceRows(Tensor states, torch::Device device, int64_t budget)
    : on_host_(std::move(states)), states_(on_host_), device_(device) {
  if (static_cast<int64_t>(states_.nbytes()) > budget) return;
  try {
    states_ = states_.to(device);
  } catch (const OutOfMemory&) {  // another program was faster
    release_unused_memory(device);
  }
}

bool DeviceRows::leave_device() {
  if (states_.device() == on_host_.device()) return false;
  states_ = on_host_;
  return true;
}

Tensor DeviceRows::rows(const Tensor& row_N) const {
  return copy_to_device(states_.index_select(0, copy_to_device(row_N, states_.device())), device_);
}

double weighted_accuracy(const Tensor& reward_R, const reward::RankingEdges& edges) {
  const Tensor difference_E =
      reward_R.index_select(0, edges.better_E) - reward_R.index_select(0, edges.worse_E);
  const Tensor correct_E =
      difference_E.gt(0).to(torch::kFloat64) + 0.5 * difference_E.eq(0).to(torch::kFloat64);
  return (correct_E * edges.weight_E).sum().item<double>() / edges.weight_E.sum().item<double>();
}

std::function<std::vector<Json>()> step_measures(const Tensor& loss, const Tensor& reward_R,
                                                 reward::RankingEdges edges) {
  return [loss = loss.detach(), reward_R = reward_R.detach(), edges = std::move(edges)] {
    return std::vector<Json>{
        Json::object({{"loss", loss.item<double>()}, {"accuracy", weighted_accuracy(reward_R, edges)}})};
  };
}

Evaluation evaluate_rewards(const Tensor& reward_R, const reward::RankingEdges& edges,
                            const std::string& score) {
  const double loss = reward::ranking_loss(reward_R, edges).item<double>();
  const double accuracy = weighted_accuracy(reward_R, edges);
  return {score == "loss" ? -loss : accuracy, {{"loss", loss}, {"accuracy", accuracy}}};
}

}  // namespace dmoerm::train
