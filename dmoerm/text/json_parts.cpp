#include "dmoerm/text/json_parts.h"

namespace dmoerm::text {

std::string replace_all(std::string_view text, std::string_view pattern, std::string_view content) {
  std::string result;
  result.reserve(text.size());
  size_t begin = 0;
  for (size_t at; (at = text.find(pattern, begin)) != std::string_view::npos; begin = at + pattern.size()) {
    result += text.substr(begin, at - begin);
    result += content;
  }
  result += text.substr(begin);
  return result;
}

const Json& json_member(const Json& json, const std::string& key, const std::string& where) {
  static const Json null;
  if (!json.is_object()) fail(where, "found {}, expected an object with \"{}\"", json_kind(json), key);
  const auto member = json.find(key);
  return member == json.end() ? null : *member;
}

const Json& json_list(const Json& json, const std::string& key, const std::string& where) {
  const Json& list = json_member(json, key, where);
  if (!list.is_array()) fail(where, "\"{}\" is {}, expected a list", key, json_kind(list));
  return list;
}

std::vector<const Json*> flat_steps(const Json& json, const std::string& list_key, const std::string& where) {
  std::vector<const Json*> steps, stack;
  if (!json.is_null()) stack.push_back(&json);
  while (!stack.empty()) {
    const Json& step = *stack.back();
    stack.pop_back();
    if (json_field<std::string>(step, "type", where) != "Sequence") {
      steps.push_back(&step);
      continue;
    }
    const Json& list = json_list(step, list_key, where);
    for (auto item = list.rbegin(); item != list.rend(); ++item) stack.push_back(&*item);
  }
  return steps;
}

std::string replaced_string(const Json& json, const std::string& where) {
  const Json& pattern = json_member(json, "pattern", where);
  if (!pattern.is_object() || !pattern.contains("String"))
    fail(where, "Replace of a pattern that is not {{\"String\": …}} is not supported");
  auto text = json_field<std::string>(pattern, "String", where);
  if (text.empty()) fail(where, "Replace has an empty pattern");
  return text;
}

}  // namespace dmoerm::text
