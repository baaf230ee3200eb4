// Which modules an adapter_config.json of PEFT adapts.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "dmoerm/models/config_reader.h"
#include "dmoerm/text/regex.h"

namespace dmoerm::models {

// An expression that must cover a module's whole name, as PEFT reads it.
text::Regex whole_name(const std::string& expression, const std::string& where);

// A list of strings; Error for anything else. null counts as empty.
std::vector<std::string> string_list(ConfigReader& config, const std::string& key);

// Modules by name: one expression that covers the whole name, or a list of names and ends of names.
class ModuleNames {
 public:
  ModuleNames(ConfigReader& config, const std::string& key);
  bool is_expression() const { return expression_.has_value(); }
  const std::vector<std::string>& list() const { return list_; }
  bool holds(const std::string& module) const;        // by the expression, the name or its end
  bool holds_whole(const std::string& module) const;  // by its whole name in the list

 private:
  std::optional<text::Regex> expression_;
  std::vector<std::string> list_;
};

class TargetRules {
 public:
  explicit TargetRules(ConfigReader& config);
  // `module` with its prefix: "model.layers.0.self_attn.q_proj".
  bool selects(const std::string& module) const;
  bool selects_parameter(const std::string& name) const;  // "model.layers.0.mlp.experts.down_proj"
  const std::vector<std::string>& parameters() const { return parameters_; }
  // The list of names that alone says the same, or null when there is none.
  const std::vector<std::string>* plain_list() const;
  const std::vector<std::string>& saved_modules() const { return saved_; }

 private:
  bool in_chosen_layer(const std::string& module) const;

  bool all_linear_ = false;
  ModuleNames targets_, excluded_;
  std::vector<std::string> parameters_;  // target_parameters
  std::vector<std::string> saved_;       // modules_to_save
  std::vector<text::Regex> saved_patterns_;
  std::set<int64_t> layers_;                // layers_to_transform; empty: all
  std::vector<text::Regex> layer_numbers_;  // what a layer's number follows
};

}  // namespace dmoerm::models
