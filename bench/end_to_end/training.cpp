// Training steps on preferences (forward, backward, clipping, AdamW): the whole base, and the LoRA experts of
// a task over a frozen base.
#include <fmt/format.h>
#include <torch/optim/adamw.h>

#include "bench/end_to_end/contests.h"
#include "bench/end_to_end/experts.h"
#include "bench/end_to_end/packed_flops.h"
#include "bench/end_to_end/padded_eager.h"
#include "dmoerm/core/error.h"
#include "dmoerm/ops/adamw.h"
#include "dmoerm/reward/ranking_loss.h"

namespace dmoerm::bench {
namespace {

// So small that the steps leave the gradients as they are.
constexpr double kLearningRate = 1e-8;
constexpr double kDropout = 0.05;  // of the experts, once the results were compared

// The pairs of one step.
struct Step {
  Workload workload;
  std::vector<Sequence> sequences;
};

class Training {
 public:
  Training(const Setting& setting, int64_t num_experts)
      : decoder_(make_decoder(setting)),
        usual_(usual_decoder(decoder_)),
        padded_(*usual_),
        pairs_(setting.train_pairs),
        experts_(draw_experts(*decoder_, setting, num_experts)) {
    const Workload all = draw_pairs(setting.train_pairs * setting.train_steps, setting.lengths,
                                    decoder_->config().vocab_size, setting.seed);
    for (auto prompt = all.prompts.begin(); prompt != all.prompts.end(); prompt += pairs_) {
      Workload workload{{prompt, prompt + pairs_}};
      steps_.push_back({workload, workload.sequences()});
    }
    const auto floats = torch::TensorOptions(setting.device).dtype(torch::kFloat32);
    // As transformers draws a score head: with larger numbers the rewards of a pair would lie so far apart
    // that its weight in the loss, 1 / (1 + exp(difference)), is the rounding of a state.
    head_1D_ = torch::randn({1, decoder_->config().hidden_size}, floats) * 0.02;
    parameters_ = parameters_over(*decoder_);
    usual_parameters_ = parameters_over(*usual_);
    for (Tensor& parameter : usual_parameters_) parameter.set_requires_grad(true);
    for (Tensor& parameter : parameters_) {
      parameter.set_requires_grad(true);
      const bool narrow = parameter.scalar_type() != torch::kFloat32;
      const Tensor moment = torch::zeros(parameter.sizes(), floats);
      slots_.push_back({parameter, narrow ? parameter.detach().to(torch::kFloat32) : Tensor(), Tensor(),
                        moment, moment.clone()});
    }
    edges_ = edges_of(pairs_ * std::max<int64_t>(1, num_experts));
  }

  std::vector<Tensor> packed_steps() {
    for (const Step& step : steps_) {
      clear_gradients();
      packed_gradient(step);
      update();
    }
    return gradients_of(parameters_);
  }

  std::vector<Tensor> padded_steps() {
    // On a GPU it is only compared with: the last step, whose gradients are the result, without an optimizer,
    // and few sequences at a time, which take less memory.
    const bool timed = decoder_->device().is_cpu();
    if (timed && !optimizer_)
      optimizer_ = std::make_unique<torch::optim::AdamW>(
          usual_parameters_, torch::optim::AdamWOptions(kLearningRate).weight_decay(0.01));
    const int64_t pairs = timed ? pairs_ : 1;
    for (const Step& step : timed ? std::span(steps_) : std::span(steps_).last(1)) {
      clear_gradients();
      for (int64_t begin = 0; begin < pairs_; begin += pairs) {
        const std::span<const Sequence> part = std::span(step.sequences).subspan(2 * begin, 2 * pairs);
        if (experts_.experts.empty()) backward(padded_.last_hidden(part), edges_of(pairs));
        for (const nn::LoraExpert& expert : experts_.experts)
          backward(padded_.last_hidden(part, &expert), edges_of(pairs));
      }
      if (timed) optimizer_->step();
    }
    return gradients_of(usual_parameters_);
  }

  void use_dropout() {
    for (nn::LoraExpert& expert : experts_.experts) expert.dropout = kDropout;
    experts_.training = true;
  }

  // A backward pass costs twice a forward pass, or once where no weight of the base needs a gradient.
  Contest contest(const std::string& name, std::shared_ptr<Training> self) const {
    const auto experts = static_cast<int64_t>(std::max<size_t>(1, experts_.experts.size()));
    const double passes = (experts_.experts.empty() ? 3.0 : 2.0) * static_cast<double>(experts);
    Contest contest;
    contest.workload = name;
    contest.against = "padded";
    contest.device = decoder_->device();
    // Gradients are sums of terms that nearly cancel: a chosen answer's against a rejected one's.
    const bool wide = decoder_->weights().begin()->second.scalar_type() == torch::kFloat32;
    contest.tolerance = wide ? 1e-3 : 0.1;
    contest.usual = {{[self] { return self->padded_steps(); }, 0}};
    contest.ours = {[self] { return self->packed_steps(); }, 0};
    for (const Step& step : steps_) {
      contest.tokens += experts * step.workload.num_tokens();
      contest.usual[0].flops += passes * padded_.flops(step.sequences, false);
      contest.ours.flops += passes * packed_flops(decoder_->config(), step.workload);
    }
    contest.before_timing = [self] { self->use_dropout(); };
    return contest;
  }

 private:
  // What the padded way computes with. On a GPU float32 copies of the weights: a bfloat16 reference would err
  // as much as what is compared with it.
  static std::shared_ptr<nn::Decoder> usual_decoder(const std::shared_ptr<nn::Decoder>& decoder) {
    if (decoder->device().is_cpu()) return decoder;
    NamedTensors weights;
    for (const auto& [name, weight] : decoder->weights())
      weights[name] = weight.to(torch::kFloat32, /*non_blocking=*/false, /*copy=*/true);
    return std::make_shared<nn::Decoder>(decoder->config(), std::move(weights));
  }

  // The head, and the experts' or else the base's.
  std::vector<Tensor> parameters_over(const nn::Decoder& decoder) const {
    std::vector<Tensor> parameters = {head_1D_};
    for (const nn::LoraExpert& expert : experts_.experts)
      for (const auto& [name, pair] : expert.pairs) parameters.insert(parameters.end(), {pair.a, pair.b});
    if (experts_.experts.empty())
      for (const auto& [name, weight] : decoder.weights()) parameters.push_back(weight);
    return parameters;
  }

  void packed_gradient(const Step& step) {
    const auto num_experts = static_cast<int32_t>(experts_.experts.size());
    std::vector<data::PackItem> items;
    for (int32_t expert = 0; expert < std::max(1, num_experts); ++expert)
      for (size_t i = 0; i < step.sequences.size(); ++i)
        items.push_back({step.sequences[i], static_cast<int64_t>(i / 2), num_experts > 0 ? expert : -1});
    const nn::Batch batch = nn::to_device(data::pack(items, num_experts), decoder_->device());
    backward(decoder_->last_hidden(batch, num_experts > 0 ? &experts_ : nullptr), edges_);
  }

  void backward(const Tensor& z_RD, const reward::RankingEdges& edges) {
    reward::ranking_loss(z_RD.to(torch::kFloat32).mm(head_1D_.t()).flatten(), edges).backward();
  }

  // Of so many pairs, each weighted as one of a step's.
  reward::RankingEdges edges_of(int64_t pairs) const {
    reward::RankingEdgeList edges(pairs_);
    for (int64_t i = 0; i < pairs; ++i)
      edges.add_group(std::vector<data::Edge>{{0, 1}}, std::vector<int64_t>{2 * i, 2 * i + 1});
    return edges.build(decoder_->device());
  }

  void update() {
    const std::vector<Tensor> grads = gradients_of(parameters_);
    for (size_t i = 0; i < slots_.size(); ++i) slots_[i].gradient = grads[i];
    ops::adamw_(slots_, {.lr = kLearningRate,
                         .step = ++num_updates_,
                         .grad_scale = ops::clip_scale(ops::global_norm(grads), 1.0)});
  }

  void clear_gradients() {
    for (Tensor& parameter : parameters_) parameter.mutable_grad() = Tensor();
    for (Tensor& parameter : usual_parameters_) parameter.mutable_grad() = Tensor();
    for (ops::AdamWSlot& slot : slots_) slot.gradient = Tensor();
  }

  static std::vector<Tensor> gradients_of(const std::vector<Tensor>& parameters) {
    std::vector<Tensor> result;
    for (const Tensor& parameter : parameters) result.push_back(parameter.grad());
    return result;
  }

  std::shared_ptr<nn::Decoder> decoder_, usual_;
  PaddedEager padded_;
  int64_t pairs_;
  nn::ExpertSet experts_;
  std::vector<Step> steps_;
  Tensor head_1D_;
  std::vector<Tensor> parameters_, usual_parameters_;  // the same one after another
  std::vector<ops::AdamWSlot> slots_;
  std::unique_ptr<torch::optim::AdamW> optimizer_;
  reward::RankingEdges edges_;  // of all experts' sequences
  int64_t num_updates_ = 0;
};

Contest train(const Setting& setting, const std::string& name, int64_t num_experts) {
  // A step is one batch of the padded way.
  DMOERM_ASSERT(2 * setting.train_pairs <= kPaddedBatch);
  const auto training = std::make_shared<Training>(setting, num_experts);
  return training->contest(name, training);
}

}  // namespace

Contest train_whole(const Setting& setting) {
  return train(setting, fmt::format("train all weights, {} pairs a step", setting.train_pairs), 0);
}

Contest train_experts(const Setting& setting) {
  return train(setting,
               fmt::format("train {} LoRA experts, {} pairs a step", setting.experts, setting.train_pairs),
               setting.experts);
}

}  // namespace dmoerm::bench
