// Training steps on preferences (forward, backward, AdamW): the whole base, and one LoRA expert over a frozen
// base.
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

class Training {
 public:
  Training(const Setting& setting, bool lora)
      : decoder_(setting.config, setting.seed),
        padded_(decoder_),
        workload_(draw_pairs(setting.train_pairs, setting.config.vocab_size, setting.seed)),
        sequences_(workload_.sequences()),
        experts_(draw_experts(decoder_, setting, lora ? 1 : 0)) {
    head_1D_ = torch::randn({1, setting.config.hidden_size});
    parameters_ = {head_1D_};
    for (auto& expert : experts_.experts)
      for (auto& [name, pair] : expert.pairs) parameters_.insert(parameters_.end(), {pair.a, pair.b});
    if (!lora)
      for (auto& [name, weight] : decoder_.weights()) parameters_.push_back(weight);
    for (Tensor& parameter : parameters_) {
      parameter.set_requires_grad(true);
      first_moments_.push_back(torch::zeros_like(parameter));
      second_moments_.push_back(torch::zeros_like(parameter));
    }
    const auto options = torch::optim::AdamWOptions(kLearningRate).weight_decay(0.01);
    optimizer_ = std::make_unique<torch::optim::AdamW>(parameters_, options);
    reward::RankingEdgeList edges(setting.train_pairs);
    for (int64_t i = 0; i < setting.train_pairs; ++i)
      edges.add_group(std::vector<data::Edge>{{0, 1}}, std::vector<int64_t>{2 * i, 2 * i + 1});
    edges_ = edges.build();
  }

  void packed_gradient() {
    std::vector<data::PackItem> items;
    for (size_t i = 0; i < sequences_.size(); ++i)
      items.push_back({sequences_[i], static_cast<int64_t>(i / 2), experts_.experts.empty() ? -1 : 0});
    const auto packed = data::pack(items, static_cast<int32_t>(experts_.experts.size()));
    const nn::Batch batch = nn::to_device(packed, torch::kCPU);
    backward(decoder_.last_hidden(batch, experts_.experts.empty() ? nullptr : &experts_));
  }
  void padded_gradient() {
    backward(padded_.last_hidden(sequences_, experts_.experts.empty() ? nullptr : &experts_.experts.front()));
  }

  std::vector<Tensor> packed_step() {
    packed_gradient();
    ++steps_;
    std::vector<ops::AdamWSlot> slots;
    for (size_t i = 0; i < parameters_.size(); ++i)
      slots.push_back({parameters_[i], {}, parameters_[i].grad(), first_moments_[i], second_moments_[i]});
    ops::adamw_(slots, {.lr = kLearningRate, .step = steps_});
    return gradients();
  }
  std::vector<Tensor> padded_step() {
    padded_gradient();
    optimizer_->step();
    return gradients();
  }

  // A backward pass costs twice a forward pass, or once where no weight of the base needs a gradient.
  Contest contest(const std::string& name, std::shared_ptr<Training> self) const {
    const double passes = experts_.experts.empty() ? 3 : 2;
    // Gradients are sums of terms that nearly cancel: a chosen answer's against a rejected one's.
    Contest contest{name, "padded", workload_.num_tokens(), 1e-3, {}, {}};
    contest.usual = {{[self] { return self->padded_step(); }, passes * padded_.flops(sequences_, false)}};
    contest.ours = {[self] { return self->packed_step(); },
                    passes * packed_flops(decoder_.config(), workload_)};
    return contest;
  }

 private:
  std::vector<Tensor> gradients() const {
    std::vector<Tensor> result;
    for (const Tensor& parameter : parameters_) result.push_back(parameter.grad());
    return result;
  }

  void backward(const Tensor& z_RD) {
    for (Tensor& parameter : parameters_) parameter.mutable_grad() = Tensor();
    reward::ranking_loss(z_RD.mm(head_1D_.t()).flatten(), edges_).backward();
  }

  nn::Decoder decoder_;
  PaddedEager padded_;
  Workload workload_;
  std::vector<Sequence> sequences_;
  nn::ExpertSet experts_;
  Tensor head_1D_;
  std::vector<Tensor> parameters_, first_moments_, second_moments_;
  std::unique_ptr<torch::optim::AdamW> optimizer_;
  reward::RankingEdges edges_;
  int64_t steps_ = 0;
};

Contest train(const Setting& setting, const std::string& name, bool lora) {
  // All in one batch of the padded way.
  DMOERM_ASSERT(2 * setting.train_pairs <= kPaddedBatch);
  const auto training = std::make_shared<Training>(setting, lora);
  return training->contest(name, training);
}

}  // namespace

Contest train_whole(const Setting& setting) {
  return train(setting, fmt::format("train all weights, {} pairs a step", setting.train_pairs), false);
}

Contest train_lora(const Setting& setting) {
  return train(setting, fmt::format("train a LoRA expert, {} pairs a step", setting.train_pairs), true);
}

}  // namespace dmoerm::bench
