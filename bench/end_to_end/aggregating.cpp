// Phase 3: the aggregator over frozen experts, their states computed once or again in every epoch.
#include <fmt/format.h>

#include "bench/end_to_end/contests.h"
#include "bench/end_to_end/experts.h"
#include "bench/end_to_end/packed_flops.h"
#include "bench/end_to_end/padded_eager.h"
#include "dmoerm/ops/adamw.h"
#include "dmoerm/reward/aggregator.h"
#include "dmoerm/reward/ranking_loss.h"

namespace dmoerm::bench {
namespace {

constexpr int64_t kStepPairs = 16;

struct Phase3 {
  explicit Phase3(const Setting& setting)
      : model(make_decoder(setting)),
        decoder(*model),
        experts(draw_experts(decoder, setting, setting.experts)),
        workload(
            draw_pairs(setting.phase3_pairs, setting.lengths, decoder.config().vocab_size, setting.seed)),
        padded(decoder),
        sequences(workload.sequences()),
        start(setting.experts, decoder.config().hidden_size, 1),
        epochs(setting.phase3_epochs) {
    start.to(decoder.device());
  }

  Tensor states() const { return reward::packed_states(decoder, &experts, workload.spans()); }
  // A pair at a time, an expert after another, as the published code does.
  Tensor padded_states() const {
    const torch::NoGradGuard no_grad;
    std::vector<Tensor> of_pairs;
    for (size_t i = 0; i < sequences.size(); i += 2) {
      std::vector<Tensor> states;
      for (const nn::LoraExpert& expert : experts.experts)
        states.push_back(padded.last_hidden(std::span(sequences).subspan(i, 2), &expert));
      of_pairs.push_back(torch::stack(states, 1).to(torch::kFloat32));
    }
    return torch::cat(of_pairs);
  }

  std::shared_ptr<nn::Decoder> model;
  const nn::Decoder& decoder;
  nn::ExpertSet experts;
  Workload workload;
  PaddedEager padded;
  std::vector<Sequence> sequences;
  reward::Aggregator start;
  int64_t epochs;
};

class AggregatorTraining {
 public:
  explicit AggregatorTraining(const Phase3& phase) : aggregator_(phase.start) {
    for (auto& [name, parameter] : aggregator_.parameters()) {
      parameter = parameter.clone();
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
    reward::ranking_loss(aggregator_.forward(z_RKD), edges.build(z_RKD.device())).backward();
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

std::vector<Tensor> train_on_kept_states(const Phase3& phase) {
  AggregatorTraining training(phase);
  const Tensor z_RKD = phase.states();
  for (int64_t epoch = 0; epoch < phase.epochs; ++epoch) training.epoch(z_RKD);
  return {training.weight().detach()};
}

std::vector<Tensor> train_the_published_way(const Phase3& phase) {
  AggregatorTraining training(phase);
  for (int64_t epoch = 0; epoch < phase.epochs; ++epoch) training.epoch(phase.padded_states());
  return {training.weight().detach()};
}

}  // namespace

Contest train_aggregator(const Setting& setting) {
  const auto phase = std::make_shared<const Phase3>(setting);
  const double flops =
      static_cast<double>(setting.experts) * packed_flops(phase->decoder.config(), phase->workload);
  Contest contest;
  contest.workload = fmt::format("phase 3, {} pairs, {} experts, {} epochs, states kept",
                                 setting.phase3_pairs, setting.experts, setting.phase3_epochs);
  contest.against = "padded, a pair at a time, in each epoch";
  contest.time_usual = true;
  contest.tolerance = setting.dtype == torch::kFloat32 ? 1e-4 : 5e-2;
  contest.device = setting.device;
  contest.tokens = phase->workload.num_tokens() * setting.experts * setting.phase3_epochs;
  const double padded_flops =
      phase->padded.flops(phase->sequences, false) * static_cast<double>(setting.experts);
  contest.usual = {{[phase] { return train_the_published_way(*phase); },
                    padded_flops * static_cast<double>(setting.phase3_epochs)}};
  contest.ours = {[phase] { return train_on_kept_states(*phase); }, flops};
  return contest;
}

}  // namespace dmoerm::bench
