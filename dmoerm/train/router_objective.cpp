#include "dmoerm/train/router_objective.h"

#include "dmoerm/core/device_copy.h"
#include "dmoerm/core/hash.h"
#include "dmoerm/train/gradient_sum.h"

namespace dmoerm::train {
namespace {

using Batch = std::vector<const RouterExample*>;

std::vector<Batch> cut(const Batch& examples, int64_t budget) {
  std::vector<int64_t> costs;
  for (const RouterExample* example : examples) costs.push_back(static_cast<int64_t>(example->tokens.size()));
  std::vector<Batch> result;
  for (const auto& indices : data::plan_batches(costs, budget)) {
    Batch batch;
    for (const int64_t index : indices) batch.push_back(examples[index]);
    result.push_back(std::move(batch));
  }
  return result;
}

Tensor labels_of(const Batch& batch, torch::Device device) {
  std::vector<int64_t> labels;
  for (const RouterExample* example : batch) labels.push_back(example->label);
  return copy_to_device(labels, device);
}

}  // namespace

RouterObjective::RouterObjective(reward::TaskRouter& router, std::vector<RouterExample> train,
                                 std::vector<RouterExample> held_out, int64_t token_budget, uint64_t seed)
    : router_(router),
      train_(std::move(train)),
      held_out_(std::move(held_out)),
      token_budget_(token_budget),
      seed_(seed) {
  if (router_.own) router_.own->decoder->set_requires_grad(true);
  for (auto& [name, parameter] : parameters(0)) parameter.set_requires_grad(true);
  experts_ = router_.expert_set();
  experts_.dropout_keys.assign(experts_.experts.size(), hash64("router"));
}

RouterObjective::~RouterObjective() {
  for (auto& [name, parameter] : parameters(0)) {
    parameter.mutable_grad() = Tensor();
    parameter.set_requires_grad(false);
  }
}

NamedParameters RouterObjective::parameters(int64_t) {
  NamedParameters result;
  if (router_.own)
    for (const auto& [name, weight] : router_.own->decoder->weights()) result.emplace_back(name, weight);
  if (router_.adapter)
    for (const auto& [layer, pair] : router_.adapter->lora.pairs) {
      result.emplace_back(layer + ".lora_A", pair.a);
      result.emplace_back(layer + ".lora_B", pair.b);
    }
  result.emplace_back("score.weight", router_.head());
  return result;
}

Tensor RouterObjective::logits(const Batch& examples) const {
  const int32_t num_experts = static_cast<int32_t>(experts_.experts.size());
  std::vector<data::PackItem> items;
  for (size_t i = 0; i < examples.size(); ++i)
    items.push_back({examples[i]->tokens, static_cast<int64_t>(i), num_experts > 0 ? 0 : -1});
  const data::PackedBatch packed = data::pack(items, num_experts, false);
  const nn::Decoder& decoder = router_.decoder();
  const nn::Batch batch = nn::to_device(packed, decoder.device());
  return router_.logits_of_states(decoder.last_hidden(batch, num_experts > 0 ? &experts_ : nullptr));
}

StepResult RouterObjective::accumulate(const StepRequest& request) {
  experts_.training = true;
  experts_.dropout_seed = hash_combine(seed_, static_cast<uint64_t>(request.step));
  Batch examples;
  StepResult result;
  for (const int64_t example : request.examples[0]) {
    examples.push_back(&train_[example]);
    result.tokens += static_cast<int64_t>(train_[example].tokens.size());
  }
  const auto count = static_cast<double>(examples.size());
  std::vector<Tensor> losses, correct;
  const std::vector<Batch> batches = cut(examples, token_budget_);
  if (batches.size() > 1) sum_gradients_in_float32(parameters(0));
  for (const Batch& batch : batches) {
    const Tensor logits_NC = logits(batch), label_N = labels_of(batch, logits_NC.device());
    const Tensor loss = torch::cross_entropy_loss(logits_NC, label_N, {}, at::Reduction::Sum);
    (loss / count).backward();
    losses.push_back(loss.detach());
    correct.push_back(logits_NC.detach().argmax(1).eq(label_N).sum());
  }
  const double passes = router_.own ? 6 : router_.adapter ? 4 : 2;
  result.flops =
      passes * static_cast<double>(router_.decoder().config().num_matmul_parameters() * result.tokens);
  result.measures = [losses, correct, count] {
    const double loss = torch::stack(losses).sum(torch::kFloat64).item<double>();
    const double right = torch::stack(correct).sum(torch::kFloat64).item<double>();
    return std::vector<Json>{Json::object({{"loss", loss / count}, {"accuracy", right / count}})};
  };
  return result;
}

std::vector<Evaluation> RouterObjective::evaluate(const std::vector<int64_t>&) {
  if (held_out_.empty()) return {{}};
  torch::NoGradGuard no_grad;
  experts_.training = false;
  Batch examples;
  for (const RouterExample& example : held_out_) examples.push_back(&example);
  double correct = 0;
  for (const Batch& batch : cut(examples, token_budget_)) {
    const Tensor logits_NC = logits(batch);
    correct += logits_NC.argmax(1).eq(labels_of(batch, logits_NC.device())).sum().item<double>();
  }
  const double accuracy = correct / static_cast<double>(held_out_.size());
  return {{accuracy, {{"accuracy", accuracy}}}};
}

}  // namespace dmoerm::train
