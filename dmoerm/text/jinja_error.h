// Errors and limits of the Jinja interpreter. A template comes with a checkpoint from anywhere: whatever it
// holds, it ends soon, in bounded memory, with a text or an error.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <stdexcept>
#include <string>

namespace dmoerm::text::jinja {

constexpr size_t kMaxSource = 1 << 20;        // bytes of a template
constexpr int kMaxNesting = 200;              // of expressions and blocks in a template's source
constexpr int kMaxDepth = 600;                // of nodes being evaluated, through all macro calls
constexpr int kMaxValueDepth = 100;           // of lists and mappings in each other
constexpr size_t kMaxText = size_t{1} << 24;  // bytes of one text or list, the output among them
constexpr size_t kMaxWork = size_t{1} << 29;  // bytes made and read by one rendering; a node counts 32
constexpr int64_t kMaxRange = 100000;         // numbers that range() gives, as in Jinja's sandbox

// What went wrong in a template, without its name and line, which Template adds.
class TemplateError : public std::runtime_error {
 public:
  TemplateError(const std::string& message, bool unsupported)
      : std::runtime_error(message), unsupported_(unsupported) {}
  // Of a template that is right, but asks for what this interpreter does not have.
  bool unsupported() const { return unsupported_; }

 private:
  bool unsupported_;
};

template <typename... Args>
[[noreturn]] void raise(fmt::format_string<Args...> format, Args&&... args) {
  throw TemplateError(fmt::format(format, std::forward<Args>(args)...), false);
}

template <typename... Args>
[[noreturn]] void raise_unsupported(fmt::format_string<Args...> format, Args&&... args) {
  throw TemplateError(fmt::format(format, std::forward<Args>(args)...), true);
}

}  // namespace dmoerm::text::jinja
