#include "dmoerm/label/api_key.h"

#include <cstdlib>

#include "dmoerm/core/error.h"
#include "dmoerm/core/file.h"

namespace dmoerm::label {

ApiKey ApiKey::from_text(const std::string& text, const std::string& where) {
  constexpr const char* kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string::npos) fail("label", "{}: the key is empty", where);
  ApiKey key;
  key.key_ = text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
  for (const char c : key.key_)
    if (c < '!' || c > '~') fail("label", "{}: the key may hold visible ASCII characters only", where);
  return key;
}

ApiKey ApiKey::from_file(const fs::path& path) {
  return from_text(read_file(path), path.string());
}

ApiKey ApiKey::from_environment(const std::string& variable, bool optional) {
  const char* value = std::getenv(variable.c_str());
  if (value != nullptr && *value != '\0') return from_text(value, "the variable " + variable);
  if (!optional) fail("label", "the variable {} is not set, expected the API's key in it", variable);
  return {};
}

std::string ApiKey::header() const {
  return key_.empty() ? "" : "Authorization: Bearer " + key_;
}

std::string ApiKey::redacted(std::string text) const {
  if (key_.empty()) return text;
  for (size_t at = 0; (at = text.find(key_, at)) != std::string::npos; at += 5)
    text.replace(at, key_.size(), "[key]");
  return text;
}

Json ApiKey::redacted_json(const Json& json) const {
  if (json.is_string()) return redacted(json.get<std::string>());
  if (!json.is_structured() || key_.empty()) return json;
  Json result = json.is_array() ? Json::array() : Json::object();
  for (const auto& [name, value] : json.items()) {
    if (json.is_array())
      result.push_back(redacted_json(value));
    else
      result[redacted(name)] = redacted_json(value);
  }
  return result;
}

}  // namespace dmoerm::label
