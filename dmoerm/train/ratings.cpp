#include "dmoerm/train/ratings.h"

#include <algorithm>

namespace dmoerm::train {
namespace {

// The objective of each point of the labels; -1: none.
std::vector<int64_t> objectives_of_points(const data::CapabilityLabels& labels,
                                          const std::vector<std::string>& objectives) {
  std::vector<int64_t> result;
  for (const std::string& point : labels.point_names()) {
    const auto found = std::ranges::find(objectives, point);
    result.push_back(found == objectives.end() ? -1 : found - objectives.begin());
  }
  return result;
}

}  // namespace

Tensor absolute_ratings(const data::GroupStore& store, const std::vector<int64_t>& groups,
                        const data::CapabilityLabels& labels, const std::vector<std::string>& objectives) {
  const std::vector<int64_t> objective_of = objectives_of_points(labels, objectives);
  const auto P = std::ssize(objectives);
  std::vector<double> won, compared;  // [R * P]
  size_t first = 0;                   // of the group's first sequence
  for (const int64_t group : groups) {
    const data::PromptGroup content = store.get(group);
    won.resize(first + content.sequences.size() * P);
    compared.resize(won.size());
    for (const data::RecordAnswers& record : content.records) {
      const std::vector<int32_t>& sequence = record.sequence_of_answer;
      for (const data::CapabilityEdge& edge : labels.edges(record.id, record.answers_hash, sequence.size())) {
        const int64_t p = objective_of[edge.point];
        const int32_t winner = sequence[edge.winner], loser = sequence[edge.loser];
        if (p < 0 || winner == loser) continue;
        won[first + winner * P + p] += 1;
        won[first + loser * P + p] -= 1;
        compared[first + winner * P + p] += 1;
        compared[first + loser * P + p] += 1;
      }
    }
    first = won.size();
  }
  const Tensor rating = torch::tensor(won, torch::kFloat64) / torch::tensor(compared, torch::kFloat64);
  return rating.view({static_cast<int64_t>(won.size()) / P, P});  // 0 / 0 is NaN
}

}  // namespace dmoerm::train
