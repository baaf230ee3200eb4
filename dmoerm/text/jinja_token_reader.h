// Reads tokens one after another, and makes nodes at the place where it stands.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dmoerm/text/jinja_lexer.h"
#include "dmoerm/text/jinja_tree.h"

namespace dmoerm::text::jinja {

class TokenReader {
 public:
  explicit TokenReader(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& current() const { return tokens_[at_]; }
  const Token& following() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  bool is_name(std::string_view name) const { return is(TokenKind::Name, name); }
  bool is_operator(std::string_view symbol) const { return is(TokenKind::Operator, symbol); }
  bool is(TokenKind kind) const { return current().kind == kind; }

  Token take();
  bool skip_name(std::string_view name) { return is_name(name) && skip(); }
  bool skip_operator(std::string_view symbol) { return is_operator(symbol) && skip(); }
  std::string expect_name();
  void expect_operator(std::string_view symbol);
  void expect(TokenKind kind, std::string_view what);

  template <typename... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    raise("line {}: {}", current().line, fmt::format(format, std::forward<Args>(args)...));
  }

  // Error when the tree becomes too deep.
  NodePointer make(NodeKind kind, std::vector<NodePointer> children = {}, std::string text = "",
                   std::vector<std::string> names = {}) const;
  NodePointer constant(Value value) const;

  // Held while something nested is read.
  class Nested {
   public:
    explicit Nested(TokenReader& reader);
    ~Nested() { --reader_.nesting_; }
    Nested(const Nested&) = delete;

   private:
    TokenReader& reader_;
  };

 private:
  bool is(TokenKind kind, std::string_view text) const {
    return current().kind == kind && current().text == text;
  }
  bool skip() {
    take();
    return true;
  }

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int nesting_ = 0;
};

// A vector of nodes, which an initializer list cannot be.
template <typename... Nodes>
std::vector<NodePointer> nodes(Nodes... node) {
  std::vector<NodePointer> all;
  (all.push_back(std::move(node)), ...);
  return all;
}

}  // namespace dmoerm::text::jinja
