#include "dmoerm/core/error.h"

#include <cstdio>

namespace dmoerm {
namespace {

std::string without_controls(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      result += "\\n";
    } else if (c == '\t') {
      result += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      result += fmt::format("\\x{:02x}", byte);
    } else {
      result += c;
    }
  }
  return result;
}

}  // namespace

Error::Error(std::string_view text) : std::runtime_error(without_controls(text)) {}

void assertion_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: internal error: %s\n", file, line, expression);
  std::abort();
}

}  // namespace dmoerm
