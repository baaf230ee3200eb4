// Reading a Hugging Face configuration: typed settings, and which of its keys nobody asked for.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "dmoerm/core/json.h"

namespace dmoerm::models {

class ConfigReader {
 public:
  // `where` names the file in messages. Error when it is not an object.
  ConfigReader(Json config, std::string where);

  template <typename T>
  T required(const std::string& key) {
    known_.insert(key);
    return json_field<T>(config_, key, where_);
  }
  // null counts as absent.
  template <typename T>
  T get(const std::string& key, T fallback) {
    known_.insert(key);
    return json_field_or<T>(config_, key, fallback, where_);
  }
  bool has(const std::string& key);         // present and not null
  bool mentions(const std::string& key);    // present, null or not
  const Json& raw(const std::string& key);  // a null when absent
  // Where transformers takes the fallback only when the file is silent, and null for something else.
  template <typename T>
  T get(const std::string& key, T fallback, T meaning_of_null) {
    return get<T>(key, mentions(key) ? meaning_of_null : fallback);
  }
  void ignore(std::initializer_list<const char*> keys);

  // Keys that were neither asked for nor ignored and whose value is not null, false or empty.
  std::vector<std::string> unknown() const;
  const std::string& where() const { return where_; }

 private:
  Json config_;
  std::string where_;
  std::set<std::string> known_;
};

}  // namespace dmoerm::models
