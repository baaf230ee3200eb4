#include "dmoerm/models/adapter_config.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "dmoerm/core/file.h"
#include "dmoerm/models/config_reader.h"

namespace dmoerm::models {
namespace {

// Options of PEFT that change no number once an adapter is trained.
void ignore_harmless(ConfigReader& config) {
  config.ignore({"auto_mapping", "peft_version", "revision", "task_type", "inference_mode", "megatron_core",
                 "qalora_group_size", "loftq_config", "eva_config", "corda_config", "lora_ga_config",
                 "runtime_config", "ensure_weight_tying"});
}

void refuse_unsupported(ConfigReader& config) {
  if (const auto type = config.required<std::string>("peft_type"); type != "LORA")
    fail(config.where(), "peft_type {} is not supported: expected LORA", type);
  if (const auto bias = config.get<std::string>("bias", "none"); bias != "none")
    fail(config.where(), "bias \"{}\" is not supported: expected \"none\"", bias);
  // Some starts (PiSSA, OLoRA, CorDA, LoftQ, LoRA-GA) change the base, which is then not the one on disk.
  static const std::set<Json> plain_starts = {nullptr, true, false, "gaussian", "eva", "orthogonal"};
  if (const Json& start = config.raw("init_lora_weights"); plain_starts.count(start) == 0)
    fail(config.where(), "init_lora_weights {} is not supported: the base was changed with it", start.dump());
  ignore_harmless(config);
}

std::vector<std::string> strings(const Json& value, const std::string& where) {
  std::vector<std::string> result;
  for (const Json& item : value) {
    if (!item.is_string()) fail(where, "found {}, expected strings", json_kind(item));
    result.push_back(item.get<std::string>());
  }
  return result;
}

// An expression that must cover a module's whole name, as PEFT reads it.
text::Regex whole_name(const std::string& expression, const std::string& where) {
  text::Regex(expression, where);  // alone first: the parentheses added below must not complete it
  return text::Regex("\\A(?:" + expression + ")\\z", where);
}

bool matches(const text::Regex& pattern, const std::string& layer) {
  return pattern.find(kModulePrefix + layer, 0).found;
}

// What target_modules and exclude_modules hold: a list of names, or one expression.
std::vector<nn::LinearShape> chosen_layers(ConfigReader& config, const std::string& key,
                                           const std::vector<nn::LinearShape>& layers) {
  const Json& value = config.raw(key);
  const std::string where = fmt::format("{}: {}", config.where(), key);
  if (value.is_array()) return target_layers(strings(value, where), layers, false, where);
  if (!value.is_string())
    fail(where, "found {}, expected a list of names or an expression", json_kind(value));
  if (value == "all-linear") return layers;
  const text::Regex pattern = whole_name(value.get<std::string>(), where);
  std::vector<nn::LinearShape> result;
  std::ranges::copy_if(layers, std::back_inserter(result),
                       [&](const auto& layer) { return matches(pattern, layer.name); });
  if (result.empty()) fail(where, "{} matches no linear layer", value.dump());
  return result;
}

// Keeps the layers that exclude_modules and layers_to_transform leave; true when one of the two is set.
bool narrow_layers(ConfigReader& config, std::vector<nn::LinearShape>& layers) {
  bool narrowed = false;
  if (const Json& value = config.raw("exclude_modules"); !value.is_null() && !value.empty()) {
    narrowed = true;
    for (const nn::LinearShape& excluded : chosen_layers(config, "exclude_modules", layers))
      std::erase_if(layers, [&](const auto& layer) { return layer.name == excluded.name; });
  }
  if (!config.has("layers_to_transform")) return narrowed;
  const Json& pattern = config.raw("layers_pattern");
  if (!pattern.is_null() && !pattern.empty() && pattern != "layers" && pattern != Json::array({"layers"}))
    fail(config.where(), "layers_pattern {} is not supported: expected \"layers\"", pattern.dump());
  const Json& numbers = config.raw("layers_to_transform");
  std::set<Json> kept = {numbers};
  if (numbers.is_array()) kept = std::set<Json>(numbers.begin(), numbers.end());
  for (const Json& number : kept)
    if (!number.is_number_integer()) fail(config.where(), "\"layers_to_transform\" must hold whole numbers");
  std::erase_if(layers, [&](const nn::LinearShape& layer) {
    return kept.count(std::stoll(layer.name.substr(std::string("layers.").size()))) == 0;
  });
  return true;
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

template <typename T>
T first_match(const std::vector<std::pair<text::Regex, T>>& patterns, const std::string& layer, T fallback) {
  for (const auto& [pattern, value] : patterns)
    if (matches(pattern, layer)) return value;
  return fallback;
}

}  // namespace

AdapterConfig::AdapterConfig(const std::filesystem::path& path, const std::vector<nn::LinearShape>& layers)
    : where_(path.string()) {
  const std::string text = read_file(path);
  ConfigReader config(parse_json(text, where_), where_);
  refuse_unsupported(config);
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

  std::vector<nn::LinearShape> candidates = layers;
  const bool narrowed = narrow_layers(config, candidates);
  targets_ = chosen_layers(config, "target_modules", candidates);
  options_.target_modules.clear();
  if (config.raw("target_modules").is_array() && !narrowed)
    options_.target_modules = strings(config.raw("target_modules"), where_);
  else
    for (const nn::LinearShape& layer : targets_) options_.target_modules.push_back(layer.name);

  // Names that the model does not have are allowed, as in PEFT; what they would have saved is then left over.
  if (config.has("modules_to_save")) {
    if (!config.raw("modules_to_save").is_array()) fail(where_, "\"modules_to_save\" must be a list");
    const auto saved = strings(config.raw("modules_to_save"), where_ + ": modules_to_save");
    saves_score_ = std::ranges::find(saved, "score") != saved.end();
  }
  config.ignore({"layers_pattern"});
  for (const std::string& option : config.unknown())
    fail(where_, "option \"{}\" is {}: not supported", option, config.raw(option).dump());
}

int64_t AdapterConfig::rank_of(const std::string& layer) const {
  return first_match(ranks_, layer, options_.rank);
}

double AdapterConfig::scale_of(const std::string& layer) const {
  return lora_scale(first_match(alphas_, layer, options_.alpha), rank_of(layer), options_.rslora);
}

}  // namespace dmoerm::models
