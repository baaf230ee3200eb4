// The key of an API: read from the environment or a file, sent in a header, and shown nowhere.
#pragma once

#include <filesystem>
#include <string>

#include "dmoerm/core/json.h"

namespace dmoerm::label {

class ApiKey {
 public:
  ApiKey() = default;  // none: for servers that want none
  // Error, without the key, when it holds anything but visible ASCII characters.
  static ApiKey from_text(const std::string& text, const std::string& where);
  // The file's content without white space at its ends. Error when it cannot be read or is empty.
  static ApiKey from_file(const std::filesystem::path& path);
  // Error when the variable is not set or empty, unless `optional`: then there is no key.
  static ApiKey from_environment(const std::string& variable, bool optional);

  std::string header() const;  // "Authorization: Bearer …", "" without a key
  bool empty() const { return key_.empty(); }

  // What a server says may hold the key: every occurrence becomes "[key]", in all strings of a JSON value
  // too.
  std::string redacted(std::string text) const;
  Json redacted_json(const Json& json) const;

 private:
  std::string key_;
};

}  // namespace dmoerm::label
