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
  Tensor row_R;                // int64: rows of all states, each once, in order of first use
  reward::RankingEdges edges;  // between places in row_R
};

RowBatch rows_of(const EdgeLists& groups);

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
