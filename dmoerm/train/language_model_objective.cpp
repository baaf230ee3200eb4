#include "dmoerm/train/language_model_objective.h"

#include <cmath>

#include "dmoerm/core/device_copy.h"
#include "dmoerm/ops/linear_cross_entropy.h"
#include "dmoerm/train/gradient_sum.h"

namespace dmoerm::train {
namespace {

std::vector<std::vector<int64_t>> cut(const std::vector<std::span<const int32_t>>& documents,
                                      int64_t budget) {
  std::vector<int64_t> costs;
  for (const auto& document : documents) costs.push_back(static_cast<int64_t>(document.size()));
  return data::plan_batches(costs, budget);
}

int64_t count_targets(const std::vector<std::span<const int32_t>>& documents) {
  int64_t count = 0;
  for (const auto& document : documents) count += static_cast<int64_t>(document.size()) - 1;
  return count;
}

}  // namespace

LanguageModelObjective::LanguageModelObjective(nn::Decoder& decoder, Tensor lm_weight,
                                               const TokenDocuments& train, const TokenDocuments& held_out,
                                               int64_t token_budget)
    : decoder_(decoder),
      lm_weight_(std::move(lm_weight)),
      train_(train),
      held_out_(held_out),
      token_budget_(token_budget) {
  decoder_.set_requires_grad(true);
  if (lm_weight_.defined()) lm_weight_.set_requires_grad(true);
}

LanguageModelObjective::~LanguageModelObjective() {
  for (auto& [name, parameter] : parameters(0)) {
    parameter.mutable_grad() = Tensor();
    parameter.set_requires_grad(false);
  }
}

NamedParameters LanguageModelObjective::parameters(int64_t) {
  NamedParameters result(decoder_.weights().begin(), decoder_.weights().end());
  if (lm_weight_.defined()) result.emplace_back("lm_head.weight", lm_weight_);
  return result;
}

Tensor LanguageModelObjective::loss_sum(const std::vector<std::span<const int32_t>>& documents) const {
  std::vector<data::PackItem> items;
  for (size_t i = 0; i < documents.size(); ++i)
    items.push_back({documents[i].first(documents[i].size() - 1), static_cast<int64_t>(i), -1});
  const data::PackedBatch packed = data::pack(items, 0, false);
  // Unshared segments stand in rows of their own; each row's target is its document's next token.
  std::vector<int64_t> targets(packed.num_tokens());
  for (size_t i = 0; i < documents.size(); ++i) {
    const auto length = static_cast<int64_t>(documents[i].size()) - 1;
    const int64_t begin = packed.last_token[i] - length + 1;
    for (int64_t t = 0; t < length; ++t) targets[begin + t] = documents[i][t + 1];
  }
  const Tensor hidden_TD = decoder_.hidden(nn::to_device(packed, decoder_.device()));
  const Tensor& output_VD = lm_weight_.defined() ? lm_weight_ : decoder_.weights().at("embed_tokens.weight");
  return ops::linear_cross_entropy(hidden_TD, output_VD, copy_to_device(targets, decoder_.device()));
}

StepResult LanguageModelObjective::accumulate(const StepRequest& request) {
  std::vector<std::span<const int32_t>> documents;
  for (const int64_t example : request.examples[0]) documents.push_back(train_[example]);
  const auto targets = static_cast<double>(count_targets(documents));
  StepResult result;
  std::vector<Tensor> losses;
  const auto parts = cut(documents, token_budget_);
  if (parts.size() > 1) sum_gradients_in_float32(parameters(0));
  for (const auto& indices : parts) {
    std::vector<std::span<const int32_t>> part;
    for (const int64_t index : indices) part.push_back(documents[index]);
    const Tensor loss = loss_sum(part);
    (loss / targets).backward();
    losses.push_back(loss.detach());
  }
  result.tokens = static_cast<int64_t>(targets);
  const int64_t weights = decoder_.config().num_matmul_parameters() +
                          decoder_.config().vocab_size * decoder_.config().hidden_size;
  result.flops = 6.0 * static_cast<double>(weights) * targets;
  result.measures = [losses, targets] {
    const double total = torch::stack(losses).sum(torch::kFloat64).item<double>();
    return std::vector<Json>{Json::object({{"loss", total / targets}})};
  };
  return result;
}

std::vector<Evaluation> LanguageModelObjective::evaluate(const std::vector<int64_t>&) {
  if (held_out_.size() == 0) return {{}};
  torch::NoGradGuard no_grad;
  std::vector<std::span<const int32_t>> documents;
  for (int64_t i = 0; i < held_out_.size(); ++i) documents.push_back(held_out_[i]);
  double total = 0;
  for (const auto& indices : cut(documents, token_budget_)) {
    std::vector<std::span<const int32_t>> part;
    for (const int64_t index : indices) part.push_back(documents[index]);
    total += loss_sum(part).item<double>();
  }
  const double loss = total / static_cast<double>(count_targets(documents));
  return {{-loss, {{"loss", loss}, {"perplexity", std::exp(loss)}}}};
}

}  // namespace dmoerm::train
