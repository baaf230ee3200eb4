#include "dmoerm/train/aggregator_objective.h"

#include <unordered_map>

namespace dmoerm::train {
namespace {

// Share of the edges that the rewards order rightly, equal rewards counting one half; each edge by its
// weight.
double weighted_accuracy(const Tensor& reward_R, const reward::RankingEdges& edges) {
  const Tensor difference_E =
      reward_R.index_select(0, edges.better_E) - reward_R.index_select(0, edges.worse_E);
  const Tensor correct_E =
      difference_E.gt(0).to(torch::kFloat64) + 0.5 * difference_E.eq(0).to(torch::kFloat64);
  return (correct_E * edges.weight_E).sum().item<double>() / edges.weight_E.sum().item<double>();
}

}  // namespace

AggregatorObjective::AggregatorObjective(reward::Aggregator& aggregator, const StateExamples& examples,
                                         AggregatorOptions options)
    : aggregator_(aggregator), examples_(examples), options_(options) {
  mean_KD_ = examples.z_RKD.mean(0);
  std_KD_ = examples.z_RKD.std(0, /*unbiased=*/false).clamp_min(1e-6);
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

std::pair<Tensor, reward::RankingEdges> AggregatorObjective::rewards(const Groups& groups) const {
  std::vector<int64_t> rows, identity;  // rows of z that are used, in order of first use; 0, 1, 2, …
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
  const Tensor z_RKD = examples_.z_RKD.index_select(0, torch::tensor(rows).to(examples_.z_RKD.device()));
  const Tensor standard_RKD = (z_RKD - mean_KD_) / std_KD_;
  return {aggregator_.forward(standard_RKD), list.build(z_RKD.device())};
}

StepResult AggregatorObjective::accumulate(const StepRequest& request) {
  Groups groups;
  for (const int64_t example : request.examples[0]) groups.push_back(&examples_.train[example]);
  const auto [reward_R, edges] = rewards(groups);
  const Tensor loss = reward::ranking_loss(reward_R, edges, {options_.label_smoothing, options_.centering});
  Tensor total = loss;
  for (const auto& [name, parameter] : aggregator_.parameters())
    total = total + options_.pull * (parameter - start_.at(name)).square().sum();
  total.backward();
  StepResult result;
  result.tokens = reward_R.numel();
  result.flops =
      6.0 * static_cast<double>(aggregator_.parameters().at("fc1.weight").numel() * reward_R.numel());
  result.measures = [loss = loss.detach(), reward_R = reward_R.detach(), edges = edges] {
    return std::vector<Json>{
        Json::object({{"loss", loss.item<double>()}, {"accuracy", weighted_accuracy(reward_R, edges)}})};
  };
  return result;
}

std::vector<Evaluation> AggregatorObjective::evaluate(const std::vector<int64_t>&) {
  if (examples_.held_out.empty()) return {{}};
  torch::NoGradGuard no_grad;
  Groups groups;
  for (const auto& edges : examples_.held_out) groups.push_back(&edges);
  const auto [reward_R, edges] = rewards(groups);
  const double loss = reward::ranking_loss(reward_R, edges).item<double>();
  const double accuracy = weighted_accuracy(reward_R, edges);
  return {{options_.early_stop == "loss" ? -loss : accuracy, {{"loss", loss}, {"accuracy", accuracy}}}};
}

}  // namespace dmoerm::train
