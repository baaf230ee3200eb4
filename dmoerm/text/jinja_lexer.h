// A Jinja template's source -> tokens, with Jinja's handling of white space under trim_blocks and
// lstrip_blocks, as transformers sets them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace dmoerm::text::jinja {

enum class TokenKind {
  Data,
  PrintBegin,
  PrintEnd,
  BlockBegin,
  BlockEnd,
  Name,
  String,
  Integer,
  Float,
  Operator,
  End
};

struct Token {
  TokenKind kind;
  std::string text;  // of a string: its content, escapes read
  int line;          // from 1
};

// The last token is an End. TemplateError "line 3: …" for what is no template.
std::vector<Token> tokenize(std::string_view source);

// For messages: "'endif'", "the template's end".
std::string describe(const Token& token);

}  // namespace dmoerm::text::jinja
