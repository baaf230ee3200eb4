#include "dmoerm/models/config_reader.h"

namespace dmoerm::models {

ConfigReader::ConfigReader(Json config, std::string where)
    : config_(std::move(config)), where_(std::move(where)) {
  if (!config_.is_object()) fail(where_, "found {}, expected an object", json_kind(config_));
}

bool ConfigReader::has(const std::string& key) {
  return !raw(key).is_null();
}

bool ConfigReader::mentions(const std::string& key) {
  known_.insert(key);
  return config_.contains(key);
}

const Json& ConfigReader::raw(const std::string& key) {
  static const Json null;
  known_.insert(key);
  const auto found = config_.find(key);
  return found == config_.end() ? null : *found;
}

void ConfigReader::ignore(std::initializer_list<const char*> keys) {
  known_.insert(keys.begin(), keys.end());
}

std::vector<std::string> ConfigReader::unknown() const {
  std::vector<std::string> result;
  for (const auto& [key, value] : config_.items()) {
    const bool off =
        value.is_null() || value == false || value == "" || (value.is_structured() && value.empty());
    if (!off && known_.count(key) == 0) result.push_back(key);
  }
  return result;
}

}  // namespace dmoerm::models
