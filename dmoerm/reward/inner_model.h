// Inner model: what scores one task. A base, its capability experts, and how their states become one reward.
// R sequences, K experts (1 when there are none: the base itself), D width.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dmoerm/models/checkpoint.h"
#include "dmoerm/reward/aggregator.h"
#include "dmoerm/reward/capability_expert.h"

namespace dmoerm::reward {

// A base and its place in the model's directory ("base", "base/chat", "." for the directory itself). Loaded
// once, however many tasks use it.
struct BaseModel {
  std::string path;
  models::Checkpoint checkpoint;
};

struct InnerModel {
  std::string task;
  std::vector<std::string> aliases;  // other names of the task in records
  std::shared_ptr<const BaseModel> base;
  std::vector<CapabilityExpert> experts;
  // At most one of the two. With neither, the reward is the score of the only expert, or of the base's own
  // head.
  std::optional<Aggregator> aggregator;
  std::vector<double> sum_weights;         // one each expert: reward = weighted sum of the expert scores
  double reward_mean = 0, reward_std = 1;  // over the training answers: reward = (raw - mean) / std
  int64_t label = 0;                       // which row of the base's own head, where it is used

  const nn::Decoder& decoder() const { return *base->checkpoint.decoder; }
  int64_t num_states() const { return experts.empty() ? 1 : static_cast<int64_t>(experts.size()); }
  nn::ExpertSet expert_set() const;
  Tensor heads() const;  // [K, D] float32

  // z_RKD [R, K, D] from packed_states() -> float32.
  Tensor expert_scores(const Tensor& z_RKD) const;  // [R, K]
  Tensor raw_rewards(const Tensor& z_RKD) const;    // [R], before mean and deviation

  // Error, naming the task, when parts do not fit together (widths, counts, no head to score with).
  void check() const;
};

}  // namespace dmoerm::reward
