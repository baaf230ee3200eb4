#include "dmoerm/models/adapter.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "dmoerm/core/file.h"
#include "dmoerm/core/random.h"
#include "dmoerm/models/adapter_config.h"
#include "dmoerm/models/expert_stack.h"

namespace dmoerm::models {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTensorPrefix = "base_model.model.";
constexpr const char* kScoreTensor = "base_model.model.score.weight";

std::string tensor_name(const std::string& module, const char* part) {
  return fmt::format("{}{}.{}.weight", kTensorPrefix, module, part);
}

// torch.nn.init.kaiming_uniform_(a = sqrt(5)): uniform within 1 / sqrt(in).
Tensor initial_a(const nn::LinearShape& layer, int64_t rank, uint64_t seed) {
  Tensor a = torch::empty({rank, layer.in}, torch::kFloat32);
  RandomStream stream(seed, "lora " + layer.name);
  const double bound = 1 / std::sqrt(static_cast<double>(layer.in));
  float* values = a.data_ptr<float>();
  for (int64_t i = 0; i < a.numel(); ++i) values[i] = static_cast<float>(bound * (2 * stream.uniform() - 1));
  return a;
}

// The tensors of adapter_model.safetensors, each taken once.
class AdapterTensors {
 public:
  AdapterTensors(const fs::path& directory, torch::Device device)
      : file_(path_in(directory)),
        where_(file_.path().string()),
        options_(torch::TensorOptions(device).dtype(torch::kFloat32)) {}

  bool contains(const std::string& name) const { return file_.contains(name); }

  Tensor take(const std::string& name, int64_t rows, int64_t columns) {
    if (!file_.contains(name)) fail(where_, "tensor {} is missing", name);
    if (const auto shape = file_.shape(name); shape != std::vector<int64_t>{rows, columns})
      fail(where_, "tensor {} has shape [{}], expected [{}, {}]", name, fmt::join(shape, ", "), rows,
           columns);
    if (!torch::isFloatingType(file_.dtype(name)))
      fail(where_, "tensor {} holds {}, expected floating-point numbers", name,
           torch::toString(file_.dtype(name)));
    taken_.insert(name);
    return file_.tensor(name).to(options_, /*non_blocking=*/false, /*copy=*/true);
  }

  int64_t num_rows(const std::string& name) const {  // 0 when there is no such tensor
    const auto shape = file_.contains(name) ? file_.shape(name) : std::vector<int64_t>{};
    return shape.empty() ? 0 : shape.front();
  }

  void finish() const {
    for (const std::string& name : file_.names()) {
      if (taken_.count(name) > 0) continue;
      if (name.find(".lora_embedding_") != std::string::npos)
        fail(where_, "tensor {} adapts an embedding: not supported", name);
      fail(where_, "tensor {} belongs to no target module of adapter_config.json and is no score head", name);
    }
  }

 private:
  static fs::path path_in(const fs::path& directory) {
    const fs::path path = directory / "adapter_model.safetensors";
    if (!fs::exists(path) && fs::exists(directory / "adapter_model.bin"))
      fail(directory.string(),
           "found pickled weights (adapter_model.bin), expected adapter_model.safetensors; "
           "convert them once with PEFT: PeftModel.from_pretrained(base, \"{0}\").save_pretrained(\"{0}\")",
           directory.string());
    return path;
  }

  SafeTensors file_;
  std::string where_;
  torch::TensorOptions options_;
  std::set<std::string> taken_;
};

// PEFT writes the adapter called "default" into the folder itself, the others into sub-folders of their
// names.
void check_is_adapter(const fs::path& directory) {
  if (fs::exists(directory / "adapter_config.json") || !fs::is_directory(directory)) return;
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory))
    if (fs::exists(entry.path() / "adapter_config.json")) names.insert(entry.path().filename().string());
  if (!names.empty())
    fail(directory.string(), "it holds several adapters, choose one of its folders: {}",
         fmt::join(names, ", "));
}

// Modules of single experts exist only before transformers 5: there "gate_proj" means dense layers alone, and
// the file has no tensor for an expert.
bool is_in_file(const AdaptedModule& module, const AdapterTensors& tensors) {
  return !module.layer.stacked || tensors.contains(tensor_name(module.name, "lora_A"));
}

void load_modules(Adapter& adapter, const AdapterConfig& config, AdapterTensors& tensors) {
  const bool has_experts = std::ranges::any_of(config.modules(), [&](const AdaptedModule& module) {
    return module.layer.stacked && is_in_file(module, tensors);
  });
  for (const AdaptedModule& module : config.modules()) {
    if (module.layer.stacked && !has_experts) continue;
    const int64_t rank = config.rank_of(module.name);
    adapter.lora.pairs[module.layer.name] = {
        tensors.take(tensor_name(module.name, "lora_A"), rank, module.layer.in),
        tensors.take(tensor_name(module.name, "lora_B"), module.layer.out, rank),
        config.scale_of(module.name)};
  }
}

// Whether both parameters of the stack's module are adapted.
bool both_adapted(const std::vector<ExpertStack>& stacks, const ExpertStack& stack) {
  return std::ranges::count(stacks, stack.module, &ExpertStack::module) == 2;
}

void load_stacks(Adapter& adapter, const AdapterConfig& config, AdapterTensors& tensors) {
  for (const ExpertStack& stack : config.stacks()) {
    const std::string module = tensor_module(stack, both_adapted(config.stacks(), stack));
    const int64_t rows = stack.num_experts * config.rank_of(stack.name());
    const Tensor a = tensors.take(tensor_name(module, "lora_A"), rows, stack.in);
    const Tensor b = tensors.take(tensor_name(module, "lora_B"), stack.out, rows);
    const auto pairs = unstack(stack, a, b, config.scale_of(stack.name()));
    for (int64_t expert = 0; expert < stack.num_experts; ++expert)
      adapter.lora.pairs[stack.layer_of(expert)] = pairs[expert];
  }
}

}  // namespace

Adapter new_adapter(const nn::Decoder& decoder, const LoraOptions& options, uint64_t seed,
                    const WeightNames& names) {
  check_lora(options, "adapter");
  Adapter adapter;
  adapter.options = options;
  adapter.names = names;
  adapter.lora.dropout = options.dropout;
  const double scale = lora_scale(options.alpha, options.rank, options.rslora);
  const auto modules = adapted_modules(decoder.config().linear_layers(), names);
  for (const AdaptedModule& module : target_modules(options.target_modules, modules, "adapter"))
    adapter.lora.pairs[module.layer.name] = {initial_a(module.layer, options.rank, seed).to(decoder.device()),
                                             torch::zeros({module.layer.out, options.rank}, decoder.device()),
                                             scale};
  return adapter;
}

Adapter load_adapter(const fs::path& directory, const nn::Decoder& decoder, const WeightNames& names) {
  check_is_adapter(directory);
  const AdapterConfig config(directory / "adapter_config.json", decoder.config().linear_layers(), names);
  AdapterTensors tensors(directory, decoder.device());
  Adapter adapter;
  adapter.options = config.options();
  adapter.names = names;
  adapter.base_model = config.base_model();
  adapter.lora.dropout = config.options().dropout;
  load_modules(adapter, config, tensors);
  load_stacks(adapter, config, tensors);
  if (config.saves_score() || tensors.contains(kScoreTensor)) {
    const int64_t labels = std::max<int64_t>(1, tensors.num_rows(kScoreTensor));
    adapter.score_weight = tensors.take(kScoreTensor, labels, decoder.config().hidden_size);
  }
  tensors.finish();
  return adapter;
}

void save_adapter(const fs::path& directory, const Adapter& adapter) {
  NamedTensors tensors;
  const auto stacks = written_stacks(adapter);
  for (const auto& item : adapter.lora.pairs) {
    if (std::ranges::any_of(stacks, [&](const ExpertStack& stack) { return stack.holds(item.first); }))
      continue;
    const std::string module = module_name(adapter.names, item.first);
    tensors[tensor_name(module, "lora_A")] = item.second.a.detach().to(torch::kFloat32);
    tensors[tensor_name(module, "lora_B")] = item.second.b.detach().to(torch::kFloat32);
  }
  for (const ExpertStack& stack : stacks) {
    const StackedPair pair = restack(stack, adapter.lora);
    const std::string module = tensor_module(stack, both_adapted(stacks, stack));
    tensors[tensor_name(module, "lora_A")] = pair.a.to(torch::kFloat32);
    tensors[tensor_name(module, "lora_B")] = pair.b.to(torch::kFloat32);
  }
  if (adapter.score_weight.defined())
    tensors[kScoreTensor] = adapter.score_weight.detach().to(torch::kFloat32);
  save_safetensors(directory / "adapter_model.safetensors", tensors);
  write_file_atomically(directory / "adapter_config.json", dump_json(adapter_config_json(adapter), 2) + "\n");
}

}  // namespace dmoerm::models
