// JSON -> the variables of a template.
#pragma once

#include <map>
#include <string>

#include "dmoerm/core/json.h"
#include "dmoerm/text/jinja_value.h"

namespace dmoerm::text::jinja {

inline Value value_of(const nlohmann::ordered_json& json) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_integer()) return json.get<int64_t>();
  if (json.is_number()) return json.get<double>();
  if (json.is_string()) return json.get<std::string>();
  if (json.is_array()) {
    std::vector<Value> items;
    for (const auto& item : json) items.push_back(value_of(item));
    return Value::list(std::move(items));
  }
  if (json.is_null()) return Value();
  Dict dict;
  for (const auto& [key, item] : json.items()) dict.set(Value(key), value_of(item));
  return Value::dict(std::move(dict));
}

inline std::map<std::string, Value> variables_of(const nlohmann::ordered_json& json) {
  std::map<std::string, Value> variables;
  for (const auto& [name, value] : json.items()) variables[name] = value_of(value);
  return variables;
}

}  // namespace dmoerm::text::jinja
