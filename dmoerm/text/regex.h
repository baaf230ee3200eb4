// A compiled Unicode regular expression (PCRE2 with its JIT), written in the dialect of tokenizer.json.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace dmoerm::text {

struct RegexMatch {
  size_t begin = 0, end = 0;
  bool found = false;
};

class Regex {
 public:
  // Error, naming `where`, when the pattern is not a valid expression. \s means Unicode White_Space.
  Regex(const std::string& pattern, std::string_view where);
  // An expression for exactly this text.
  static std::string escaped(std::string_view text);

  // The first match at or after `from`. `text` must be valid UTF-8. Safe from many threads.
  RegexMatch find(std::string_view text, size_t from) const;

 private:
  struct Code;
  std::shared_ptr<const Code> code_;
};

}  // namespace dmoerm::text
