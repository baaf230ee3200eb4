#include "dmoerm/models/target_rules.h"

#include <algorithm>

namespace dmoerm::models {
namespace {

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

bool ends_with_any(const std::string& name, const std::vector<std::string>& ends) {
  return std::ranges::any_of(
      ends, [&](const std::string& end) { return name == end || name.ends_with("." + end); });
}

std::set<int64_t> layer_list(ConfigReader& config) {
  const Json& value = config.raw("layers_to_transform");
  if (value.is_null()) return {};
  std::set<int64_t> layers;
  for (const Json& number : value.is_array() ? value : Json::array({value})) {
    if (!number.is_number_integer())
      fail(config.where(), "\"layers_to_transform\" must hold whole numbers, found {}", number.dump());
    layers.insert(number.get<int64_t>());
  }
  return layers;
}

// The number of the layer stands behind a name of layers_pattern, or without one behind any name; PEFT takes
// the last place.
std::vector<text::Regex> number_patterns(ConfigReader& config) {
  const Json& value = config.raw("layers_pattern");
  std::vector<std::string> names = {"[^.]*"};
  if (value.is_string() && value != "") names = {value.get<std::string>()};
  if (value.is_array() && !value.empty()) names = string_list(config, "layers_pattern");
  std::vector<text::Regex> patterns;
  for (const std::string& name : names)
    patterns.emplace_back("\\A.*\\." + name + "\\.\\K\\d+(?=\\.)", config.where() + ": layers_pattern");
  return patterns;
}

}  // namespace

text::Regex whole_name(const std::string& expression, const std::string& where) {
  text::Regex(expression, where);  // alone first: the parentheses added below must not complete it
  return text::Regex("\\A(?:" + expression + ")\\z", where);
}

std::vector<std::string> string_list(ConfigReader& config, const std::string& key) {
  std::vector<std::string> result;
  const Json& value = config.raw(key);
  if (value.is_null()) return result;
  if (!value.is_array()) fail(config.where(), "\"{}\" is {}, expected a list", key, json_kind(value));
  for (const Json& item : value) {
    if (!item.is_string()) fail(config.where(), "\"{}\" holds {}, expected strings", key, json_kind(item));
    result.push_back(item.get<std::string>());
  }
  return result;
}

ModuleNames::ModuleNames(ConfigReader& config, const std::string& key) {
  const Json& value = config.raw(key);
  if (value.is_string())
    expression_ = whole_name(value.get<std::string>(), fmt::format("{}: {}", config.where(), key));
  else
    list_ = string_list(config, key);
}

bool ModuleNames::holds(const std::string& module) const {
  if (expression_) return expression_->find(module, 0).found;
  return std::ranges::any_of(
      list_, [&](const std::string& name) { return module == name || module.ends_with("." + name); });
}

bool ModuleNames::holds_whole(const std::string& module) const {
  return std::ranges::find(list_, module) != list_.end();
}

TargetRules::TargetRules(ConfigReader& config)
    : targets_(config, "target_modules"),
      excluded_(config, "exclude_modules"),
      parameters_(string_list(config, "target_parameters")),
      saved_(string_list(config, "modules_to_save")),
      layers_(layer_list(config)),
      layer_numbers_(number_patterns(config)) {
  const Json& targets = config.raw("target_modules");
  all_linear_ = targets.is_string() && lower(targets.get<std::string>()) == "all-linear";
  if (targets_.is_expression() && !layers_.empty())
    fail(config.where(), "layers_to_transform needs a list of target_modules, found {}", targets.dump());
  for (const std::string& name : saved_)
    saved_patterns_.emplace_back("\\A(|.*\\.)" + name + "(\\z|\\.)", config.where() + ": modules_to_save");
}

bool TargetRules::selects(const std::string& module) const {
  const auto matches = [&](const text::Regex& pattern) { return pattern.find(module, 0).found; };
  if (excluded_.holds(module) || std::ranges::any_of(saved_patterns_, matches)) return false;
  if (all_linear_) return true;
  if (!targets_.holds(module)) return false;
  return layers_.empty() || targets_.holds_whole(module) || in_chosen_layer(module);
}

bool TargetRules::selects_parameter(const std::string& name) const {
  return ends_with_any(name, parameters_);
}

bool TargetRules::in_chosen_layer(const std::string& module) const {
  for (const text::Regex& pattern : layer_numbers_)
    if (const auto number = pattern.find(module, 0); number.found)
      return layers_.count(std::stoll(module.substr(number.begin, number.end - number.begin))) > 0;
  return false;
}

const std::vector<std::string>* TargetRules::plain_list() const {
  const bool plain =
      !targets_.is_expression() && layers_.empty() && !excluded_.is_expression() && excluded_.list().empty();
  return plain ? &targets_.list() : nullptr;
}

}  // namespace dmoerm::models
