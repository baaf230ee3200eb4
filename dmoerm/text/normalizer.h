// The normaliser of a tokenizer.json: what happens to a text before it is split into words.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dmoerm/core/json.h"

namespace dmoerm::text {

class Normalizer {
 public:
  // The "normalizer" of a tokenizer.json: null, NFC, NFD, NFKC, NFKD, Prepend, Replace (of a string),
  // Sequence. Error, naming `where`, for any other.
  static Normalizer from_json(const Json& json, const std::string& where);

  std::string normalize(std::string text) const;  // `text` must be valid UTF-8
  bool empty() const { return steps_.empty(); }

 private:
  enum class Kind { Unicode, Prepend, Replace };
  struct Step {
    Kind kind;
    int unicode_form = 0;          // Unicode: options of utf8proc
    std::string pattern, content;  // Prepend: content; Replace: both
  };
  void add(const Json& json, const std::string& where);

  std::vector<Step> steps_;
};

// Unicode's canonical composed form.
std::string normalize_nfc(const std::string& text);

}  // namespace dmoerm::text
