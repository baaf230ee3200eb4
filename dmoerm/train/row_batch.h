// The rows of computed states that a step's groups use, with their edges: for what trains over frozen states.
// R rows, E edges.
#pragma once

#include <vector>

#include "dmoerm/reward/ranking_loss.h"
#include "dmoerm/train/objective.h"

namespace dmoerm::train {

// The edges of some groups; indices are rows of all states.
using EdgeLists = std::vector<const std::vector<data::Edge>*>;

struct RowBatch {
  Tensor row_R;                // int64, on the CPU: rows of all states, each once, in order of first use
  reward::RankingEdges edges;  // between places in row_R, on the device
};

RowBatch rows_of(const EdgeLists& groups, torch::Device device = torch::kCPU);

// States [R, …] that lie on the CPU, perhaps in a memory-mapped file, for work on a device: kept there whole
// when they take at most `budget` bytes and there is room.
class DeviceRows {
 public:
  DeviceRows(Tensor states, torch::Device device, int64_t budget);
  Tensor rows(const Tensor& row_N) const;           // [N, …] on the device
  const Tensor& states() const { return states_; }  // where they are kept
  bool leave_device();                              // from now on they are fetched; false: they are already
  torch::Device device() const { return device_; }

 private:
  Tensor on_host_, states_;
  torch::Device device_;
};

// Share of the edges that the rewards order rightly, equal rewards counting one half; each edge by its
// weight.
double weighted_accuracy(const Tensor& reward_R, const reward::RankingEdges& edges);

// A step's loss and accuracy, read from the device when they are asked for.
std::function<std::vector<Json>()> step_measures(const Tensor& loss, const Tensor& reward_R,
                                                 reward::RankingEdges edges);
// Loss and accuracy of held-out rewards; the score is one of them, "loss" or "accuracy".
Evaluation evaluate_rewards(const Tensor& reward_R, const reward::RankingEdges& edges,
                            const std::string& score);

}  // namespace dmoerm::train
