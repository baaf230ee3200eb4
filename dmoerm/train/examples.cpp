// Which groups a stage learns from, and their edges: the human rankings or the labels of a capability point.
#include "dmoerm/data/split.h"
#include "dmoerm/train/stages.h"

namespace dmoerm::train {

GroupSplit split_groups(const data::GroupStore& store, const std::vector<int64_t>& groups, int phase,
                        const SplitShares& shares) {
  GroupSplit split;
  for (const int64_t group : groups) {
    const uint64_t prompt = store.prompt_hash(group);
    if (phase != 0 && (data::split_position(prompt, "phase") < shares.phase1) != (phase == 1)) continue;
    const bool held_out = data::split_position(prompt, "early stopping") < shares.held_out;
    (held_out ? split.held_out : split.train).push_back(group);
  }
  return split;
}

std::vector<PreferenceExample> human_examples(const data::GroupStore& store,
                                              const std::vector<int64_t>& groups, int32_t head_row) {
  std::vector<PreferenceExample> examples;
  for (const int64_t group : groups) {
    PreferenceExample example{group, {}};
    for (const data::Edge& edge : store.get(group).edges)
      if (edge.better != edge.worse) example.edges.push_back({edge, head_row});
    if (!example.edges.empty()) examples.push_back(std::move(example));
  }
  return examples;
}

std::vector<PreferenceExample> labelled_examples(const data::GroupStore& store,
                                                 const std::vector<int64_t>& groups,
                                                 const data::CapabilityLabels& labels,
                                                 const std::string& point, int32_t head_row) {
  std::vector<PreferenceExample> examples;
  const std::vector<std::string>& names = labels.point_names();
  for (const int64_t group : groups) {
    PreferenceExample example{group, {}};
    for (const data::RecordAnswers& record : store.get(group).records) {
      const std::vector<int32_t>& sequence = record.sequence_of_answer;
      for (const data::CapabilityEdge& edge : labels.edges(record.id, record.answers_hash, sequence.size())) {
        if (names[edge.point] != point || sequence[edge.winner] == sequence[edge.loser]) continue;
        example.edges.push_back({{sequence[edge.winner], sequence[edge.loser], 1, 0}, head_row});
      }
    }
    if (!example.edges.empty()) examples.push_back(std::move(example));
  }
  return examples;
}

}  // namespace dmoerm::train
