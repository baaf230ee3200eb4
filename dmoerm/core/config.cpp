#include "dmoerm/core/config.h"

#include <algorithm>
#include <sstream>

#include "dmoerm/core/error.h"
#include "dmoerm/core/file.h"

namespace dmoerm {

struct Config::Node {
  std::string file, prefix;
  toml::table table;
  std::set<std::string> known;
  std::vector<std::shared_ptr<Node>> children;
};

namespace {

void expand(std::string& text, const std::map<std::string, std::string>& variables, const std::string& file) {
  for (size_t begin = 0; (begin = text.find("${", begin)) != std::string::npos;) {
    const size_t end = text.find('}', begin);
    if (end == std::string::npos) fail(file, "\"{}\" has \"${{\" without \"}}\"", text);
    const auto variable = variables.find(text.substr(begin + 2, end - begin - 2));
    if (variable == variables.end()) fail(file, "\"{}\" uses an unknown variable: add it to [vars]", text);
    text.replace(begin, end - begin + 1, variable->second);
    begin += variable->second.size();
  }
}

void expand(toml::node& node, const std::map<std::string, std::string>& variables, const std::string& file) {
  if (auto* text = node.as_string()) {
    expand(text->get(), variables, file);
  } else if (auto* table = node.as_table()) {
    for (auto&& [key, value] : *table) expand(value, variables, file);
  } else if (auto* array = node.as_array()) {
    for (auto&& value : *array) expand(value, variables, file);
  }
}

void apply_override(toml::table& root, const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) fail("--set", "\"{}\" is not of the form key=value", text);
  const std::string key = text.substr(0, equals), value = text.substr(equals + 1);
  toml::table parsed;
  try {
    parsed = toml::parse("value = " + value);
  } catch (const toml::parse_error&) {
    parsed.insert_or_assign("value", value);  // a bare word is a string
  }
  toml::table* table = &root;
  std::stringstream parts(key);
  std::vector<std::string> path;
  for (std::string part; std::getline(parts, part, '.');) path.push_back(part);
  for (size_t i = 0; i + 1 < path.size(); ++i) {
    auto* next = table->get_as<toml::table>(path[i]);
    if (next == nullptr) {
      if (table->contains(path[i])) fail("--set", "{}: {} is not a table", text, path[i]);
      next = table->insert(path[i], toml::table{}).first->second.as_table();
    }
    table = next;
  }
  table->insert_or_assign(path.back(), *parsed.get("value"));
}

void flatten(const toml::node& node, const std::string& key, std::map<std::string, std::string>& values) {
  if (const auto* table = node.as_table()) {
    for (auto&& [name, value] : *table)
      if (key != "" || name.str() != "vars")
        flatten(value, key.empty() ? std::string(name.str()) : key + "." + std::string(name.str()), values);
  } else if (const auto* array = node.as_array(); array != nullptr && array->is_array_of_tables()) {
    for (size_t i = 0; i < array->size(); ++i) flatten((*array)[i], fmt::format("{}[{}]", key, i), values);
  } else {
    std::stringstream text;
    node.visit([&](const auto& value) { text << value; });
    values[key] = text.str();
  }
}

}  // namespace

std::string nearest(const std::string& word, const std::vector<std::string>& candidates) {
  std::string best;
  size_t best_distance = std::max<size_t>(2, word.size() / 2);
  for (const std::string& candidate : candidates) {
    std::vector<size_t> row(candidate.size() + 1);
    for (size_t j = 0; j <= candidate.size(); ++j) row[j] = j;
    for (size_t i = 1; i <= word.size(); ++i) {
      size_t diagonal = row[0];
      row[0] = i;
      for (size_t j = 1; j <= candidate.size(); ++j) {
        const size_t substitute = diagonal + (word[i - 1] != candidate[j - 1]);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
      }
    }
    if (row.back() < best_distance + (best.empty() ? 1 : 0)) {
      best = candidate;
      best_distance = row.back();
    }
  }
  return best;
}

Config Config::load(const fs::path& path, const std::vector<std::string>& overrides) {
  return parse(read_file(path), path.string(), overrides);
}

Config Config::parse(std::string_view text, std::string name, const std::vector<std::string>& overrides) {
  auto node = std::make_shared<Node>();
  node->file = std::move(name);
  try {
    node->table = toml::parse(text);
  } catch (const toml::parse_error& error) {
    fail(node->file, "line {}: {}", error.source().begin.line, error.description());
  }
  for (const std::string& text_override : overrides) apply_override(node->table, text_override);
  std::map<std::string, std::string> variables;
  if (const auto* vars = node->table.get_as<toml::table>("vars")) {
    for (auto&& [key, value] : *vars) {
      if (!value.is_string()) fail(node->file, "vars.{} must be a string", std::string(key.str()));
      std::string& variable = variables[std::string(key.str())] = value.as_string()->get();
      if (variable.find("${") != std::string::npos)
        fail(node->file, "vars.{} is \"{}\", expected text without another variable", std::string(key.str()),
             variable);
    }
  }
  expand(node->table, variables, node->file);
  node->known.insert("vars");
  return Config(node);
}

const toml::node* Config::find(const std::string& key) {
  node_->known.insert(key);
  return node_->table.get(key);
}

bool Config::has(const std::string& key) {
  return find(key) != nullptr;
}

std::string Config::name(const std::string& key) const {
  std::string path = node_->prefix;
  if (!path.empty() && !key.empty()) path += ".";
  return node_->file + ": " + path + key;
}

void Config::invalid(const std::string& key, const std::string& expected) const {
  std::stringstream found;
  if (const toml::node* node = node_->table.get(key)) node->visit([&](const auto& value) { found << value; });
  fail("config", "{} = {}: expected {}", name(key), found.str(), expected);
}

void Config::missing(const std::string& key) const {
  fail("config", "{} is missing", name(key));
}

namespace {

// Also of whole numbers that a double holds roughly, which toml++ gives as none.
double number_of(const toml::node& node) {
  return node.is_integer() ? static_cast<double>(node.as_integer()->get()) : node.as_floating_point()->get();
}

}  // namespace

void Config::get(const std::string& key, std::string& target) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  if (!node->is_string()) invalid(key, "a string");
  target = node->as_string()->get();
}

void Config::get(const std::string& key, fs::path& target) {
  std::string text = target.string();
  get(key, text);
  target = text;
}

void Config::get(const std::string& key, bool& target) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  if (!node->is_boolean()) invalid(key, "true or false");
  target = node->as_boolean()->get();
}

void Config::get(const std::string& key, int64_t& target) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  if (!node->is_integer()) invalid(key, "a whole number");
  target = node->as_integer()->get();
}

void Config::get(const std::string& key, double& target) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  if (!node->is_number()) invalid(key, "a number");
  target = number_of(*node);
}

void Config::get(const std::string& key, std::vector<std::string>& target) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  if (node->is_string()) {  // one item may be written without brackets
    target = {node->as_string()->get()};
    return;
  }
  const toml::array* array = node->as_array();
  if (array == nullptr) invalid(key, "a list of strings");
  target.clear();
  for (const toml::node& item : *array) {
    if (!item.is_string()) invalid(key, "a list of strings");
    target.push_back(item.as_string()->get());
  }
}

void Config::get(const std::string& key, std::vector<double>& target) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const toml::array* array = node->as_array();
  if (array == nullptr) invalid(key, "a list of numbers");
  target.clear();
  for (const toml::node& item : *array) {
    if (!item.is_number()) invalid(key, "a list of numbers");
    target.push_back(number_of(item));
  }
}

void Config::get_choice(const std::string& key, std::string& target,
                        const std::vector<std::string>& choices) {
  get(key, target);
  if (has(key) && std::find(choices.begin(), choices.end(), target) == choices.end())
    invalid(key, fmt::format("one of {}", fmt::join(choices, ", ")));
}

Config Config::table(const std::string& key) {
  const toml::node* node = find(key);
  auto child = std::make_shared<Node>();
  child->file = node_->file;
  child->prefix = node_->prefix.empty() ? key : node_->prefix + "." + key;
  if (node != nullptr) {
    if (!node->is_table()) invalid(key, "a table");
    child->table = *node->as_table();
  }
  node_->children.push_back(child);
  return Config(child);
}

std::vector<Config> Config::tables(const std::string& key) {
  const toml::node* node = find(key);
  std::vector<Config> result;
  if (node == nullptr) return result;
  const toml::array* array = node->as_array();
  if (array == nullptr) invalid(key, "a list of tables");
  for (size_t i = 0; i < array->size(); ++i) {
    if (!(*array)[i].is_table()) invalid(key, "a list of tables");
    auto child = std::make_shared<Node>();
    child->file = node_->file;
    child->prefix = fmt::format("{}{}{}[{}]", node_->prefix, node_->prefix.empty() ? "" : ".", key, i);
    child->table = *(*array)[i].as_table();
    node_->children.push_back(child);
    result.push_back(Config(child));
  }
  return result;
}

std::vector<std::string> Config::keys() const {
  std::vector<std::string> result;
  for (auto&& [key, value] : node_->table) result.emplace_back(key.str());
  return result;
}

void Config::finish() const {
  for (const std::string& key : keys()) {
    if (node_->known.count(key) > 0) continue;
    const std::string near = nearest(key, {node_->known.begin(), node_->known.end()});
    if (near.empty()) fail("config", "{} is not a known key", name(key));
    fail("config", "{} is not a known key; did you mean \"{}\"?", name(key), near);
  }
  for (const auto& child : node_->children) Config(child).finish();
}

std::map<std::string, std::string> Config::values() const {
  std::map<std::string, std::string> result;
  flatten(node_->table, "", result);
  return result;
}

}  // namespace dmoerm
