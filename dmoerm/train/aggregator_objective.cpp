#include "dmoerm/train/aggregator_objective.h"

#include "dmoerm/core/device_memory.h"

namespace dmoerm::train {

AggregatorObjective::AggregatorObjective(reward::Aggregator& aggregator, const StateExamples& examples,
                                         AggregatorOptions options)
    : aggregator_(aggregator),
      examples_(examples),
      states_(examples.z_RKD, aggregator.device(), free_device_memory(aggregator.device()) / 4),
      options_(std::move(options)) {
  mean_KD_ = states_.states().mean(0).to(states_.device());
  std_KD_ = states_.states().std(0, /*unbiased=*/false).clamp_min(1e-6).to(states_.device());
  aggregator_.fold_standardisation(-mean_KD_ / std_KD_, 1 / std_KD_);
  for (auto& [name, parameter] : aggregator_.parameters()) {
    start_[name] = parameter.detach().clone();
    parameter.set_requires_grad(true);
  }
}

void AggregatorObjective::finish() {
  for (auto& [name, parameter] : aggregator_.parameters()) {
    parameter.mutable_grad() = Tensor();
    parameter.set_requires_grad(false);
  }
  aggregator_.fold_standardisation(mean_KD_, std_KD_);
}

NamedParameters AggregatorObjective::parameters(int64_t) {
  return {aggregator_.parameters().begin(), aggregator_.parameters().end()};
}

std::pair<Tensor, reward::RankingEdges> AggregatorObjective::rewards(const EdgeLists& groups) const {
  RowBatch batch = rows_of(groups, states_.device());
  std::vector<Tensor> rewards;
  for (const Tensor& row_N : batch.row_R.split(kStatesAtOnce))
    rewards.push_back(aggregator_.forward((states_.rows(row_N) - mean_KD_) / std_KD_));
  return {torch::cat(rewards), std::move(batch.edges)};
}

StepResult AggregatorObjective::accumulate(const StepRequest& request) {
  EdgeLists groups;
  for (const int64_t example : request.examples[0]) groups.push_back(&examples_.train[example]);
  const auto [reward_R, edges] = rewards(groups);
  const Tensor loss = reward::ranking_loss(reward_R, edges, {options_.label_smoothing, options_.centering});
  loss.backward();
  for (const auto& [name, parameter] : aggregator_.parameters())
    parameter.mutable_grad().add_(parameter.detach() - start_.at(name), 2 * options_.pull);
  StepResult result;
  result.tokens = reward_R.numel();
  result.flops =
      6.0 * static_cast<double>(aggregator_.parameters().at("fc1.weight").numel() * reward_R.numel());
  result.measures = step_measures(loss, reward_R, edges);
  return result;
}

std::vector<Evaluation> AggregatorObjective::evaluate(const std::vector<int64_t>&) {
  if (examples_.held_out.empty()) return {{}};
  torch::NoGradGuard no_grad;
  EdgeLists groups;
  for (const auto& edges : examples_.held_out) groups.push_back(&edges);
  const auto [reward_R, edges] = rewards(groups);
  return {evaluate_rewards(reward_R, edges, options_.early_stop)};
}

}  // namespace dmoerm::train
