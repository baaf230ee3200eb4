// Phase 3: the aggregator over frozen experts, their states computed once or again in every epoch.
#include <fmt/format.h>

#include "bench/end_to_end/contests.h"
#include "bench/end_to_end/experts.h"
#include "bench/end_to_end/packed_flops.h"
#include "dmoerm/ops/adamw.h"
#include "dmoerm/reward/aggregator.h"
#include "dmoerm/reward/ranking_loss.h"

namespace dmoerm::bench {
namespace {

constexpr int64_t kStepPairs = 4;

struct Phase3 {
  explicit Phase3(const Setting& setting)
      : decoder(setting.config, setting.seed),
        experts(draw_experts(decoder, setting, setting.experts)),
        workload(draw_pairs(setting.phase3_pairs, setting.config.vocab_size, setting.seed)),
        epochs(setting.phase3_epochs) {}

  Tensor states() const { return reward::packed_states(decoder, &experts, workload.spans()); }

  nn::Decoder decoder;
  nn::ExpertSet experts;
  Workload workload;
  int64_t epochs;
};

class AggregatorTraining {
 public:
  explicit AggregatorTraining(const Phase3& phase)
      : aggregator_(static_cast<int64_t>(phase.experts.experts.size()), phase.decoder.config().hidden_size,
                    1) {
    for (auto& [name, parameter] : aggregator_.parameters()) {
      parameters_.push_back(parameter.set_requires_grad(true));
      first_moments_.push_back(torch::zeros_like(parameter));
      second_moments_.push_back(torch::zeros_like(parameter));
    }
  }

  void epoch(const Tensor& z_RKD) {
    const int64_t pairs = z_RKD.size(0) / 2;
    for (int64_t begin = 0; begin < pairs; begin += kStepPairs)
      step(z_RKD.narrow(0, 2 * begin, 2 * std::min(kStepPairs, pairs - begin)));
  }

  const Tensor& weight() const { return aggregator_.parameters().at("fc1.weight"); }

 private:
  void step(const Tensor& z_RKD) {
    const int64_t pairs = z_RKD.size(0) / 2;
    reward::RankingEdgeList edges(pairs);
    for (int64_t i = 0; i < pairs; ++i)
      edges.add_group(std::vector<data::Edge>{{0, 1}}, std::vector<int64_t>{2 * i, 2 * i + 1});
    for (Tensor& parameter : parameters_) parameter.mutable_grad() = Tensor();
    reward::ranking_loss(aggregator_.forward(z_RKD), edges.build()).backward();
    ++steps_;
    std::vector<ops::AdamWSlot> slots;
    for (size_t i = 0; i < parameters_.size(); ++i)
      slots.push_back({parameters_[i], {}, parameters_[i].grad(), first_moments_[i], second_moments_[i]});
    ops::adamw_(slots, {.lr = 1e-4, .step = steps_});
  }

  reward::Aggregator aggregator_;
  std::vector<Tensor> parameters_, first_moments_, second_moments_;
  int64_t steps_ = 0;
};

std::vector<Tensor> train(const Phase3& phase, bool keep_states) {
  AggregatorTraining training(phase);
  Tensor z_RKD;
  for (int64_t epoch = 0; epoch < phase.epochs; ++epoch) {
    if (epoch == 0 || !keep_states) z_RKD = phase.states();
    training.epoch(z_RKD);
  }
  return {training.weight().detach()};
}

}  // namespace

Contest train_aggregator(const Setting& setting) {
  const auto phase = std::make_shared<const Phase3>(setting);
  const double flops = static_cast<double>(setting.experts) * packed_flops(setting.config, phase->workload);
  Contest contest;
  contest.workload = fmt::format("phase 3, {} pairs, {} experts, {} epochs, states kept",
                                 setting.phase3_pairs, setting.experts, setting.phase3_epochs);
  contest.against = "ours, states computed in each epoch";
  contest.tokens = phase->workload.num_tokens() * setting.experts * setting.phase3_epochs;
  contest.usual = {
      {[phase] { return train(*phase, false); }, flops * static_cast<double>(setting.phase3_epochs)}};
  contest.ours = {[phase] { return train(*phase, true); }, flops};
  return contest;
}

}  // namespace dmoerm::bench
