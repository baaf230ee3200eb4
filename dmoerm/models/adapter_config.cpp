#include "dmoerm/models/adapter_config.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "dmoerm/core/file.h"
#include "dmoerm/models/config_reader.h"
#include "dmoerm/models/target_rules.h"

namespace dmoerm::models {
namespace {

// Options of PEFT that change no number of a trained adapter: bookkeeping, settings of a start that
// init_lora_weights names, of quantised or Megatron layers, and what saves memory in training.
void ignore_without_effect(ConfigReader& config) {
  config.ignore({"auto_mapping", "peft_version", "revision", "task_type", "inference_mode", "runtime_config",
                 "ensure_weight_tying", "loftq_config", "eva_config", "corda_config", "lora_ga_config",
                 "qalora_group_size", "megatron_config", "megatron_core", "velora_config", "layers_pattern"});
}

void refuse_options(ConfigReader& config) {
  if (const auto type = config.required<std::string>("peft_type"); type != "LORA")
    fail(config.where(), "peft_type {} is not supported: expected LORA", type);
  if (const auto bias = config.get<std::string>("bias", "none"); bias != "none")
    fail(config.where(), "bias \"{}\" is not supported: expected \"none\"", bias);
  // The others (PiSSA, OLoRA, CorDA, LoftQ, LoRA-GA) change the base, which is then not the one on disk.
  static const std::set<Json> plain_starts = {nullptr, true, false, "gaussian", "eva", "orthogonal"};
  if (const Json& start = config.raw("init_lora_weights"); plain_starts.count(start) == 0)
    fail(config.where(),
         "init_lora_weights {} is not supported, since the base was changed with it: save the adapter with "
         "PEFT's "
         "save_pretrained(…, path_initial_model_for_weight_conversion=…)",
         start.dump());
  ignore_without_effect(config);
}

// rank_pattern and alpha_pattern: the first expression that matches counts, so the file's order matters.
template <typename T>
std::vector<std::pair<text::Regex, T>> read_patterns(ConfigReader& config, const std::string& text,
                                                     const std::string& key) {
  std::vector<std::pair<text::Regex, T>> result;
  if (!config.has(key)) return result;
  const std::string where = fmt::format("{}: {}", config.where(), key);
  if (!config.raw(key).is_object()) fail(where, "found {}, expected an object", json_kind(config.raw(key)));
  const auto ordered = nlohmann::ordered_json::parse(text);
  for (const auto& [expression, value] : ordered.at(key).items())
    result.emplace_back(whole_name("(.*\\.)?(" + expression + ")", where),
                        json_field<T>(config.raw(key), expression, where));
  return result;
}

// Before 0.19.1 PEFT took a stack's two sizes for each other, unless transformers corrected it. Where they
// differ the shapes tell. The first versions that have stacks do not name themselves.
void refuse_ambiguous(const std::vector<ExpertStack>& stacks, const std::string& version,
                      const std::string& where) {
  const bool before = version.empty() || version.starts_with("0.17.") || version.starts_with("0.18.") ||
                      version == "0.19.0" || version.starts_with("0.19.0.");
  if (!before) return;
  for (const ExpertStack& stack : stacks)
    if (stack.in == stack.out)
      fail(where, "{} was saved by PEFT {}, which may have transposed it: not supported", stack.name(),
           version.empty() ? "before 0.18, as no \"peft_version\" is there" : version);
}

template <typename T>
T first_match(const std::vector<std::pair<text::Regex, T>>& patterns, const std::string& name, T fallback) {
  for (const auto& [pattern, value] : patterns)
    if (pattern.find(name, 0).found) return value;
  return fallback;
}

}  // namespace

AdapterConfig::AdapterConfig(const std::filesystem::path& path, const std::vector<nn::LinearShape>& layers,
                             const WeightNames& names)
    : where_(path.string()) {
  const std::string text = read_file(path);
  ConfigReader config(parse_json(text, where_), where_);
  refuse_options(config);
  base_model_ = config.get<std::string>("base_model_name_or_path", "");
  options_.rank = config.get<int64_t>("r", 8);
  options_.alpha = config.get<double>("lora_alpha", 8);
  options_.dropout = config.get<double>("lora_dropout", 0);
  options_.rslora = config.get("use_rslora", false);
  check_lora(options_, where_);
  ranks_ = read_patterns<int64_t>(config, text, "rank_pattern");
  for (const auto& [pattern, rank] : ranks_)
    if (rank < 1) fail(where_, "rank_pattern holds rank {}, expected at least 1", rank);
  alphas_ = read_patterns<double>(config, text, "alpha_pattern");

  const TargetRules rules(config);
  std::ranges::copy_if(adapted_modules(layers, names), std::back_inserter(modules_),
                       [&](const AdaptedModule& module) { return rules.selects(module.name); });
  std::ranges::copy_if(expert_stacks(layers, names), std::back_inserter(stacks_),
                       [&](const ExpertStack& stack) { return rules.selects_parameter(stack.name()); });
  if (modules_.empty() && stacks_.empty())
    fail(where_, "target_modules {} matches no linear layer", config.raw("target_modules").dump());
  if (!rules.parameters().empty() && stacks_.empty())
    fail(where_, "target_parameters {} matches no experts of the model",
         config.raw("target_parameters").dump());
  refuse_ambiguous(stacks_, config.get<std::string>("peft_version", ""), where_);
  options_.target_parameters = rules.parameters();
  options_.target_modules.clear();
  if (rules.plain_list())
    options_.target_modules = *rules.plain_list();
  else
    for (const AdaptedModule& module : modules_) options_.target_modules.push_back(module.name);

  // Names that the model does not have are allowed, as in PEFT; what they would have saved is then left over.
  saves_score_ = std::ranges::count(rules.saved_modules(), "score") > 0;
  for (const std::string& option : config.unknown())
    fail(where_, "option \"{}\" is {}: not supported", option, config.raw(option).dump());
}

int64_t AdapterConfig::rank_of(const std::string& name) const {
  return first_match(ranks_, name, options_.rank);
}

double AdapterConfig::scale_of(const std::string& name) const {
  return lora_scale(first_match(alphas_, name, options_.alpha), rank_of(name), options_.rslora);
}

}  // namespace dmoerm::models
