// Errors that users can cause (exceptions) and assertions for our own bugs.
#pragma once

#include <fmt/format.h>

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace dmoerm {

// Bad input or a failed operation. what() is one line, "[part] message: found …, expected …": control
// characters of quoted input are shown as \n, \t or \x1b.
class Error : public std::runtime_error {
 public:
  explicit Error(std::string_view text);
};

// Throws Error with the text "[part] message". `part` is the piece that refuses: "config", "tokenizer", a
// file…
template <typename... Args>
[[noreturn]] void fail(std::string_view part, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format("[{}] {}", part, fmt::format(format, std::forward<Args>(args)...)));
}

[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

}  // namespace dmoerm

// Internal invariant: never reachable by user input. Aborts with the place.
#define DMOERM_ASSERT(expression) \
  ((expression) ? static_cast<void>(0) : ::dmoerm::assertion_failed(#expression, __FILE__, __LINE__))
