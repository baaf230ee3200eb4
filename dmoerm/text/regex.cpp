#include "dmoerm/text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "dmoerm/core/error.h"

namespace dmoerm::text {
namespace {

constexpr uint32_t kMatchOptions = PCRE2_NO_UTF_CHECK;

// PCRE2's \s also takes U+180E, which is no white space since Unicode 6.3: spell the class out.
std::string with_white_space_spelt_out(const std::string& pattern) {
  constexpr const char* kSpaces = R"(\t-\r\x{85}\p{Z})";
  std::string result;
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      const char next = pattern[++i];
      if (next == 's') {
        result += in_class ? std::string(kSpaces) : fmt::format("[{}]", kSpaces);
      } else if (next == 'S' && !in_class) {
        result += fmt::format("[^{}]", kSpaces);
      } else {
        result += {c, next};
      }
      continue;
    }
    if (c == '[') in_class = true;
    if (c == ']') in_class = false;
    result += c;
  }
  return result;
}

struct MatchData {
  pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
  ~MatchData() { pcre2_match_data_free(data); }
};

}  // namespace

struct Regex::Code {
  pcre2_code* code = nullptr;
  bool jit = false;
  ~Code() { pcre2_code_free(code); }
};

Regex::Regex(const std::string& pattern, std::string_view where) {
  const std::string translated = with_white_space_spelt_out(pattern);
  int error = 0;
  PCRE2_SIZE offset = 0;
  auto code = std::make_shared<Code>();
  code->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                             PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr);
  if (code->code == nullptr) {
    PCRE2_UCHAR message[256];
    pcre2_get_error_message(error, message, sizeof message);
    fail(where, "\"{}\" is not a valid regular expression: {}", pattern, reinterpret_cast<char*>(message));
  }
  code->jit = pcre2_jit_compile(code->code, PCRE2_JIT_COMPLETE) == 0;
  code_ = code;
}

std::string Regex::escaped(std::string_view text) {
  std::string pattern;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x80 && !std::isalnum(static_cast<unsigned char>(c))) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

RegexMatch Regex::find(std::string_view text, size_t from) const {
  thread_local MatchData match;
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  int status = PCRE2_ERROR_JIT_STACKLIMIT;
  if (code_->jit)
    status = pcre2_jit_match(code_->code, subject, text.size(), from, kMatchOptions, match.data, nullptr);
  if (status == PCRE2_ERROR_JIT_STACKLIMIT)  // the interpreter keeps its stack on the heap
    status = pcre2_match(code_->code, subject, text.size(), from, kMatchOptions | PCRE2_NO_JIT, match.data,
                         nullptr);
  if (status == PCRE2_ERROR_NOMATCH) return {};
  if (status < 0)
    fail("tokenizer", "the regular expression failed on a text of {} bytes (PCRE2 error {})", text.size(),
         status);
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(match.data);
  return {bounds[0], bounds[1], true};
}

}  // namespace dmoerm::text
