// Phase 3: the aggregator over frozen experts, their states computed once or again in every epoch.
#include <fmt/format.h>

#include "bench/end_to_end/contests.h"
#include "bench/end_to_end/experts.h"
#include "bench/end_to_end/packed_flops.h"
#include "bench/end_to_end/padded_eager.h"
#include "dmoerm/ops/adamw.h"
#include "dmoerm/reward/aggregator.h"
#include "dmoerm/reward/ranking_loss.h"
#include "dmoerm/train/aggregator_objective.h"

namespace dmoerm::bench {
namespace {

constexpr int64_t kStepPairs = 16;
constexpr double kLearningRate = 1e-4;

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

reward::Aggregator copy_of(reward::Aggregator aggregator) {
  for (auto& [name, parameter] : aggregator.parameters()) parameter = parameter.clone();
  return aggregator;
}

// AdamW on an aggregator's parameters.
class Updates {
 public:
  explicit Updates(reward::Aggregator& aggregator) {
    for (auto& [name, parameter] : aggregator.parameters()) {
      parameter.set_requires_grad(true);
      slots_.push_back({parameter, {}, {}, torch::zeros_like(parameter), torch::zeros_like(parameter)});
    }
  }
  void clear_gradients() {
    for (ops::AdamWSlot& slot : slots_) slot.parameter.mutable_grad() = Tensor();
  }
  void apply() {
    for (ops::AdamWSlot& slot : slots_) slot.gradient = slot.parameter.grad();
    ops::adamw_(slots_, {.lr = kLearningRate, .step = ++steps_});
  }

 private:
  std::vector<ops::AdamWSlot> slots_;
  int64_t steps_ = 0;
};

class AggregatorTraining {
 public:
  explicit AggregatorTraining(const reward::Aggregator& start)
      : aggregator_(copy_of(start)), updates_(aggregator_) {}

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
    updates_.clear_gradients();
    reward::ranking_loss(aggregator_.forward(z_RKD), edges.build(z_RKD.device())).backward();
    updates_.apply();
  }

  reward::Aggregator aggregator_;
  Updates updates_;
};

// The steps of training as it is done, over states that are there.
class RecordedTraining {
 public:
  RecordedTraining(const reward::Aggregator& start, const Tensor& z_RKD)
      : aggregator_(copy_of(start)),
        examples_(examples_of(z_RKD)),
        objective_(aggregator_, examples_, {.pull = 0}),
        updates_(aggregator_) {}

  void epoch() {
    const auto pairs = std::ssize(examples_.train);
    for (int64_t begin = 0; begin < pairs; begin += kStepPairs) {
      train::StepRequest request = {0, {{}}};
      for (int64_t i = begin; i < std::min<int64_t>(begin + kStepPairs, pairs); ++i)
        request.examples[0].push_back(i);
      updates_.clear_gradients();
      objective_.accumulate(request);
      updates_.apply();
    }
  }

  const Tensor& weight() const { return aggregator_.parameters().at("fc1.weight"); }

 private:
  static train::StateExamples examples_of(const Tensor& z_RKD) {
    train::StateExamples examples;
    examples.z_RKD = z_RKD.cpu();
    for (int32_t row = 0; row < z_RKD.size(0); row += 2) examples.train.push_back({{row, row + 1}});
    return examples;
  }

  reward::Aggregator aggregator_;
  train::StateExamples examples_;
  train::AggregatorObjective objective_;
  Updates updates_;
};

std::vector<Tensor> train_on_kept_states(const Phase3& phase) {
  AggregatorTraining training(phase.start);
  const Tensor z_RKD = phase.states();
  for (int64_t epoch = 0; epoch < phase.epochs; ++epoch) training.epoch(z_RKD);
  return {training.weight().detach()};
}

std::vector<Tensor> train_the_published_way(const Phase3& phase) {
  AggregatorTraining training(phase.start);
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

Contest train_aggregator_on_states(const Setting& setting) {
  const int64_t K = setting.experts, D = setting.config.hidden_size, R = 2 * setting.phase3_pairs;
  Tensor z_RKD = torch::randn({R, K, D}, setting.device);
  z_RKD = (z_RKD - z_RKD.mean(0)) / z_RKD.std(0, /*unbiased=*/false);  // training standardises them
  reward::Aggregator start(K, D, 1);
  start.to(setting.device);
  const auto recorded = std::make_shared<RecordedTraining>(start, z_RKD);
  const auto queued = std::make_shared<AggregatorTraining>(start);
  const int64_t epochs = setting.phase3_epochs;
  Contest contest;
  contest.workload = fmt::format("phase 3 without its states, {} steps",
                                 epochs * ((setting.phase3_pairs + kStepPairs - 1) / kStepPairs));
  contest.against = "each kernel queued by itself";
  contest.time_usual = true;
  contest.tolerance = 2e-2;
  contest.device = setting.device;
  contest.tokens = R * epochs;
  const double flops = 6.0 * static_cast<double>(K * D * D * R * epochs);
  contest.ours = {[=] {
                    for (int64_t epoch = 0; epoch < epochs; ++epoch) recorded->epoch();
                    return std::vector<Tensor>{recorded->weight().detach()};
                  },
                  flops};
  contest.usual = {{[=] {
                      for (int64_t epoch = 0; epoch < epochs; ++epoch) queued->epoch(z_RKD);
                      return std::vector<Tensor>{queued->weight().detach()};
                    },
                    flops}};
  return contest;
}

}  // namespace dmoerm::bench
