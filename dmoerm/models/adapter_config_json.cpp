// Writing adapter_config.json.
#include <algorithm>
#include <cmath>
#include <set>

#include "dmoerm/models/adapter_config.h"

namespace dmoerm::models {
namespace {

// PEFT writes alpha as a whole number where it is one.
Json number(double value) {
  const double whole = std::round(value);
  if (std::abs(value - whole) <= 1e-9 * std::abs(value)) return static_cast<int64_t>(whole);
  return value;
}

// "all-linear" as a list, as PEFT writes it: where a model has experts, PEFT reads the word letter by letter.
std::vector<std::string> written_targets(const Adapter& adapter) {
  if (adapter.options.target_modules != std::vector<std::string>{"all-linear"})
    return adapter.options.target_modules;
  std::set<std::string> ends;
  for (const auto& [layer, pair] : adapter.lora.pairs) {
    const std::string module = module_name(adapter.names, layer);
    ends.insert(module.substr(module.rfind('.') + 1));
  }
  return {ends.begin(), ends.end()};
}

}  // namespace

std::vector<ExpertStack> written_stacks(const Adapter& adapter) {
  if (adapter.options.target_parameters.empty()) return {};
  std::vector<nn::LinearShape> layers;
  for (const auto& [layer, pair] : adapter.lora.pairs) {
    nn::LinearShape shape;
    shape.name = layer;
    shape.out = pair.b.size(0);
    shape.in = pair.a.size(1);
    layers.push_back(shape);
  }
  return expert_stacks(layers, adapter.names);
}

Json adapter_config_json(const Adapter& adapter) {
  const LoraOptions& options = adapter.options;
  Json ranks = Json::object(), alphas = Json::object();
  const auto add_patterns = [&](const std::string& name, const ops::LoraPair& pair) {
    const int64_t rank = pair.a.size(0);
    const double alpha = pair.scale / lora_scale(1, rank, options.rslora);
    if (rank != options.rank) ranks[name] = rank;
    if (std::abs(alpha - options.alpha) > 1e-9 * std::abs(options.alpha)) alphas[name] = number(alpha);
  };
  const auto stacks = written_stacks(adapter);
  for (const auto& [layer, pair] : adapter.lora.pairs) {
    const auto stack = std::find_if(stacks.begin(), stacks.end(), [&layer = layer](const ExpertStack& stack) {
      return stack.holds(layer);
    });
    add_patterns(stack == stacks.end() ? module_name(adapter.names, layer) : stack->name(), pair);
  }
  // PEFT has no dropout on parameters, which the experts of a MoE layer are.
  const bool on_experts = std::ranges::any_of(
      adapter.lora.pairs, [](const auto& pair) { return pair.first.find(".experts.") != std::string::npos; });
  const bool has_head = adapter.score_weight.defined();
  Json json = {{"peft_type", "LORA"},
               {"task_type", has_head ? "SEQ_CLS" : "CAUSAL_LM"},
               {"base_model_name_or_path", adapter.base_model},
               {"r", options.rank},
               {"lora_alpha", number(options.alpha)},
               {"lora_dropout", on_experts ? 0 : options.dropout},
               {"use_rslora", options.rslora},
               {"target_modules", written_targets(adapter)},
               {"target_parameters", stacks.empty() ? Json() : Json(options.target_parameters)},
               {"rank_pattern", ranks},
               {"alpha_pattern", alphas},
               {"modules_to_save", has_head ? Json::array({"score"}) : Json()},
               {"bias", "none"},
               {"fan_in_fan_out", false},
               {"use_dora", false},
               {"init_lora_weights", true},
               {"inference_mode", true}};
  if (!stacks.empty()) json["peft_version"] = "0.19.1";  // the first whose stacks lie as these do
  return json;
}

}  // namespace dmoerm::models
