#include "dmoerm/train/gate_objective.h"

namespace dmoerm::train {

GateObjective::GateObjective(reward::GatedHead& head, const GateExamples& examples, GateOptions options)
    : head_(head), examples_(examples), options_(std::move(options)) {
  for (auto& [name, parameter] : head_.gate_parameters()) parameter.set_requires_grad(true);
}

GateObjective::~GateObjective() {
  for (auto& [name, parameter] : head_.gate_parameters()) {
    parameter.mutable_grad() = Tensor();
    parameter.set_requires_grad(false);
  }
}

NamedParameters GateObjective::parameters(int64_t) {
  const NamedTensors parameters = head_.gate_parameters();
  return {parameters.begin(), parameters.end()};
}

std::pair<Tensor, reward::RankingEdges> GateObjective::rewards(const EdgeLists& groups) const {
  RowBatch batch = rows_of(groups);
  const reward::GatedInputs& all = examples_.inputs;
  // Each prompt once, however many of its answers are in the step.
  const auto [prompt_G, place_R, count_G] =
      torch::unique_consecutive(all.prompt_R.index_select(0, batch.row_R), /*return_inverse=*/true);
  return {head_.reward({all.z_RD.index_select(0, batch.row_R), all.length_R.index_select(0, batch.row_R),
                        all.prompt_GD.index_select(0, prompt_G), place_R}),
          std::move(batch.edges)};
}

StepResult GateObjective::accumulate(const StepRequest& request) {
  EdgeLists groups;
  for (const int64_t example : request.examples[0]) groups.push_back(&examples_.train[example]);
  const auto [reward_R, edges] = rewards(groups);
  const Tensor loss = reward::ranking_loss(reward_R, edges, options_.loss);
  loss.backward();
  int64_t numbers = 0;
  for (const auto& [name, parameter] : head_.gate_parameters()) numbers += parameter.numel();
  StepResult result;
  result.tokens = reward_R.numel();
  result.flops = 6.0 * static_cast<double>(numbers * std::ssize(groups));
  result.measures = step_measures(loss, reward_R, edges);
  return result;
}

std::vector<Evaluation> GateObjective::evaluate(const std::vector<int64_t>&) {
  if (examples_.held_out.empty()) return {{}};
  torch::NoGradGuard no_grad;
  EdgeLists groups;
  for (const auto& edges : examples_.held_out) groups.push_back(&edges);
  const auto [reward_R, edges] = rewards(groups);
  return {evaluate_rewards(reward_R, edges, options_.early_stop)};
}

}  // namespace dmoerm::train
