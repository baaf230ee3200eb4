#include "dmoerm/reward/task_router.h"

namespace dmoerm::reward {
namespace {

constexpr const char* kHeadFile = "head.safetensors";
constexpr const char* kHeadName = "score.weight";

Tensor load_head(const std::filesystem::path& file, int64_t width) {
  const SafeTensors tensors(file);
  if (tensors.names() != std::vector<std::string>{kHeadName})
    fail(file.string(), "holds tensors [{}], expected \"{}\" alone", fmt::join(tensors.names(), ", "),
         kHeadName);
  const auto shape = tensors.shape(kHeadName);
  if (shape.size() != 2 || shape[1] != width)
    fail(file.string(), "\"{}\" has shape [{}], expected [tasks, {}]", kHeadName, fmt::join(shape, ", "),
         width);
  return tensors.tensor(kHeadName).to(torch::kFloat).clone();
}

}  // namespace

std::string router_kind_name(RouterKind kind) {
  switch (kind) {
    case RouterKind::Classifier:
      return "classifier";
    case RouterKind::Adapter:
      return "adapter";
    case RouterKind::Head:
      return "head";
  }
  return "";
}

const Tensor& TaskRouter::head() const {
  if (kind == RouterKind::Classifier) return own->score_weight;
  return kind == RouterKind::Adapter ? adapter->score_weight : head_CD;
}

nn::ExpertSet TaskRouter::expert_set() const {
  nn::ExpertSet set;
  if (adapter) set.experts.push_back(adapter->lora);
  return set;
}

Tensor TaskRouter::logits_of_states(const Tensor& z_ND) const {
  return torch::linear(z_ND.to(torch::kFloat32), head());
}

Tensor TaskRouter::logits(std::span<const std::vector<int32_t>> inputs, const StatesOptions& options) const {
  std::vector<PromptSequences> prompts;
  for (const auto& input : inputs) prompts.push_back({input});
  const auto experts = expert_set();
  const Tensor z_ND = packed_states(decoder(), &experts, prompts, options).select(1, 0);
  torch::NoGradGuard no_grad;
  return logits_of_states(z_ND).to(torch::kCPU);
}

TaskRouter TaskRouter::load(const std::filesystem::path& path, RouterKind kind,
                            std::vector<std::string> labels, std::shared_ptr<nn::Decoder> shared,
                            const models::LoadOptions& options, const models::WeightNames& names) {
  TaskRouter router;
  router.kind = kind;
  router.labels = std::move(labels);
  if (kind == RouterKind::Classifier) {
    router.own = models::load_checkpoint(path, options);
    if (router.own->head != models::HeadKind::Score) fail(path.string(), "the router has no score head");
  } else if (kind == RouterKind::Adapter) {
    router.adapter = models::load_adapter(path, *shared, names);
    if (!router.adapter->score_weight.defined())
      fail(path.string(), "the router's adapter has no score head");
  } else {
    router.head_CD = load_head(path / kHeadFile, shared->config().hidden_size).to(options.device);
  }
  if (kind != RouterKind::Classifier) router.shared = std::move(shared);
  if (router.head().size(0) != router.labels.size())
    fail(path.string(), "the router's head has {} outputs, expected one for each of {} labels",
         router.head().size(0), router.labels.size());
  return router;
}

void TaskRouter::save(const std::filesystem::path& path, const std::string& base_path) const {
  std::filesystem::create_directories(path);
  if (kind == RouterKind::Classifier) {
    models::Checkpoint copy = *own;
    copy.labels = labels;
    models::save_checkpoint(path, copy);
  } else if (kind == RouterKind::Adapter) {
    models::Adapter copy = *adapter;
    copy.base_model = base_path;
    models::save_adapter(path, copy);
  } else {
    save_safetensors(path / kHeadFile, {{kHeadName, head_CD}});
  }
}

}  // namespace dmoerm::reward
