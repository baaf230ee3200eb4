#include "dmoerm/text/jinja_token_reader.h"

#include <algorithm>

namespace dmoerm::text::jinja {

Token TokenReader::take() {
  Token token = tokens_[at_];
  if (token.kind != TokenKind::End) ++at_;
  return token;
}

std::string TokenReader::expect_name() {
  if (!is(TokenKind::Name)) refuse("found {}, expected a name", describe(current()));
  return take().text;
}

void TokenReader::expect_operator(std::string_view symbol) {
  if (!skip_operator(symbol)) refuse("found {}, expected '{}'", describe(current()), symbol);
}

void TokenReader::expect(TokenKind kind, std::string_view what) {
  if (!is(kind)) refuse("found {}, expected {}", describe(current()), what);
  take();
}

NodePointer TokenReader::make(NodeKind kind, std::vector<NodePointer> children, std::string text,
                              std::vector<std::string> names) const {
  auto node = std::make_unique<Node>(
      Node{kind, current().line, std::move(text), std::move(names), std::move(children), Value(), 1});
  for (const NodePointer& child : node->children)
    if (child) node->depth = std::max(node->depth, child->depth + 1);
  if (node->depth > kMaxNesting) refuse("expressions or blocks are nested more than {} deep", kMaxNesting);
  return node;
}

NodePointer TokenReader::constant(Value value) const {
  NodePointer node = make(NodeKind::Constant);
  node->value = std::move(value);
  return node;
}

TokenReader::Nested::Nested(TokenReader& reader) : reader_(reader) {
  if (reader.nesting_ >= kMaxNesting)
    reader.refuse("expressions or blocks are nested more than {} deep", kMaxNesting);
  ++reader.nesting_;
}

}  // namespace dmoerm::text::jinja
