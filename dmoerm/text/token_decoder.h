// The decoder of a tokenizer.json: token strings -> text.
#pragma once

#include <string>
#include <vector>

#include "dmoerm/core/json.h"

namespace dmoerm::text {

class TokenDecoder {
 public:
  // null, ByteLevel, ByteFallback, Replace (of a string), Fuse, Strip, Metaspace, Sequence.
  // Error, naming `where`, for any other.
  static TokenDecoder from_json(const Json& json, const std::string& where);

  std::string decode(std::vector<std::string> tokens) const;  // invalid UTF-8 becomes U+FFFD

 private:
  enum class Kind { ByteLevel, ByteFallback, Replace, Fuse, Strip, Metaspace };
  struct Step {
    Kind kind;
    std::string pattern, content;  // Replace: both; Strip: content; Metaspace: pattern
    int64_t start = 0, stop = 0;   // Strip: how many at each end; Metaspace: start = 1 drops the first space
  };
  void add(const Json& json, const std::string& where);
  static void apply(const Step& step, std::vector<std::string>& tokens);

  std::vector<Step> steps_;
};

}  // namespace dmoerm::text
