#include "dmoerm/train/aggregator_objective.h"

#include <torch/csrc/autograd/autograd.h>

#include <array>

#include "dmoerm/core/device_copy.h"
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

Tensor AggregatorObjective::rewards(const reward::Aggregator& aggregator, const Tensor& row_R) const {
  std::vector<Tensor> rewards;
  for (const Tensor& row_N : row_R.split(kStatesAtOnce))
    rewards.push_back(aggregator.forward((states_.rows(row_N) - mean_KD_) / std_KD_));
  return torch::cat(rewards);
}

void AggregatorObjective::differentiate(Step& step) const {
  reward::Aggregator leaves = aggregator_;  // over the same memory, without what earlier steps left in .grad
  std::vector<Tensor> values;
  for (auto& [name, parameter] : leaves.parameters()) {
    parameter = parameter.detach().set_requires_grad(true);
    values.push_back(parameter);
  }
  const Tensor reward_R = rewards(leaves, step.batch.row_R);
  const Tensor loss =
      reward::ranking_loss(reward_R, step.batch.edges, {options_.label_smoothing, options_.centering});
  step.gradients = torch::autograd::grad({loss}, values);
  step.reward_R = reward_R.detach();
  step.loss = loss.detach();
  const torch::NoGradGuard no_grad;
  size_t i = 0;
  for (const auto& [name, parameter] : leaves.parameters())
    step.gradients[i++].add_(parameter.detach() - start_.at(name), 2 * options_.pull);
}

AggregatorObjective::Step& AggregatorObjective::step_of(RowBatch batch) {
  const torch::Device device = states_.device();
  const bool on_device = states_.states().device() == device;  // else rows are fetched, which is not recorded
  const auto parts = [](RowBatch& of) {
    return std::array{&of.row_R, &of.edges.better_E, &of.edges.worse_E, &of.edges.weight_E,
                      &of.edges.margin_E};
  };
  const auto sources = parts(batch);
  if (on_device && step_ && step_->batch.row_R.sizes() == batch.row_R.sizes() &&
      step_->batch.edges.better_E.sizes() == batch.edges.better_E.sizes()) {
    const auto targets = parts(step_->batch);
    for (size_t i = 0; i < targets.size(); ++i) copy_from_host(*targets[i], *sources[i]);
    return *step_;
  }
  for (Tensor* part : sources)
    if (on_device || part != &batch.row_R) *part = copy_to_device(*part, device);
  step_ = std::make_unique<Step>();
  step_->batch = std::move(batch);
  step_->work = std::make_unique<RepeatedWork>(device, [this, step = step_.get()] { differentiate(*step); });
  return *step_;
}

StepResult AggregatorObjective::accumulate(const StepRequest& request) {
  EdgeLists groups;
  for (const int64_t example : request.examples[0]) groups.push_back(&examples_.train[example]);
  Step& step = step_of(rows_of(groups));
  step.work->run();
  size_t i = 0;
  for (auto& [name, parameter] : aggregator_.parameters()) parameter.mutable_grad() = step.gradients[i++];
  StepResult result;
  result.tokens = step.reward_R.numel();
  result.flops =
      6.0 * static_cast<double>(aggregator_.parameters().at("fc1.weight").numel() * step.reward_R.numel());
  result.measures = step_measures(step.loss, step.reward_R, step.batch.edges);
  return result;
}

bool AggregatorObjective::shrink() {
  step_.reset();
  return states_.leave_device();
}

std::vector<Evaluation> AggregatorObjective::evaluate(const std::vector<int64_t>&) {
  if (examples_.held_out.empty()) return {{}};
  torch::NoGradGuard no_grad;
  EdgeLists groups;
  for (const auto& edges : examples_.held_out) groups.push_back(&edges);
  const RowBatch batch = rows_of(groups, states_.device());
  return {evaluate_rewards(rewards(aggregator_, batch.row_R), batch.edges, options_.early_stop)};
}

}  // namespace dmoerm::train
