#include "dmoerm/reward/inner_model.h"

#include <cmath>

namespace dmoerm::reward {

nn::ExpertSet InnerModel::expert_set() const {
  nn::ExpertSet set;
  for (const auto& expert : experts) set.experts.push_back(expert.adapter.lora);
  return set;
}

Tensor InnerModel::heads() const {
  if (experts.empty()) return base->checkpoint.score_weight.narrow(0, label, 1);
  std::vector<Tensor> rows;
  for (const auto& expert : experts) rows.push_back(expert.adapter.score_weight);
  return torch::cat(rows);
}

Tensor InnerModel::expert_scores(const Tensor& z_RKD) const {
  return (z_RKD * heads()).sum(-1);
}

Tensor InnerModel::raw_rewards(const Tensor& z_RKD) const {
  if (aggregator) return aggregator->forward(z_RKD);
  const Tensor scores_RK = expert_scores(z_RKD);
  if (sum_weights.empty()) return scores_RK.select(1, 0);
  return scores_RK.mv(torch::tensor(sum_weights, torch::kFloat).to(scores_RK.device()));
}

void InnerModel::check() const {
  const std::string part = fmt::format("task \"{}\"", task);
  const int64_t D = decoder().config().hidden_size;
  const auto K = static_cast<int64_t>(experts.size());
  if (K == 0) {
    const auto& checkpoint = base->checkpoint;
    if (checkpoint.head != models::HeadKind::Score)
      fail(part, "the base \"{}\" has no score head and the task has no experts, expected one of them",
           base->path);
    if (label < 0 || label >= checkpoint.score_weight.size(0))
      fail(part, "label {} of the base's head was asked for, found {} labels", label,
           checkpoint.score_weight.size(0));
  }
  for (const auto& expert : experts) {
    const Tensor& head = expert.adapter.score_weight;
    if (!head.defined() || head.sizes() != torch::IntArrayRef({1, D}))
      fail(part, "expert \"{}\" has no head of shape [1, {}]", expert.point, D);
  }
  if (aggregator && (aggregator->num_experts() != K || aggregator->width() != D))
    fail(part, "the aggregator is for {} experts of width {}, found {} of width {}",
         aggregator->num_experts(), aggregator->width(), K, D);
  if (!sum_weights.empty() && sum_weights.size() != experts.size())
    fail(part, "\"sum\" has {} weights, expected one for each of {} experts", sum_weights.size(), K);
  for (const double weight : sum_weights)
    if (!std::isfinite(weight)) fail(part, "\"sum\" holds {}, expected finite numbers", weight);
  if (!aggregator && sum_weights.empty() && K > 1)
    fail(part, "{} experts and no aggregator, expected an aggregator file or \"sum\"", K);
  if (!std::isfinite(reward_mean) || !std::isfinite(reward_std) || reward_std <= 0)
    fail(part, "reward_mean is {} and reward_std {}, expected finite numbers and a deviation above zero",
         reward_mean, reward_std);
}

}  // namespace dmoerm::reward
