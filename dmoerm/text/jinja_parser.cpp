#include "dmoerm/text/jinja_parser.h"

#include <algorithm>

#include "dmoerm/text/jinja_expression_parser.h"

namespace dmoerm::text::jinja {
namespace {

using EndTags = std::vector<std::string_view>;

NodePointer parse_statement(TokenReader& reader);

// Statements up to one of the tags in `end`, which is left at its name; up to the template's end when there
// are none.
NodePointer parse_body(TokenReader& reader, const EndTags& end) {
  const TokenReader::Nested nested(reader);
  std::vector<NodePointer> body;
  const int line = reader.current().line;
  for (;;) {
    if (reader.is(TokenKind::End)) {
      if (end.empty()) break;
      raise("line {}: a block begins here and has no end, expected {{% {} %}}", line, end.back());
    }
    if (reader.is(TokenKind::Data)) {
      std::string text = reader.take().text;
      body.push_back(reader.make(NodeKind::Text, {}, std::move(text)));
    } else if (reader.is(TokenKind::PrintBegin)) {
      reader.take();
      body.push_back(reader.make(NodeKind::Print, nodes(parse_tuple(reader))));
      reader.expect(TokenKind::PrintEnd, "'}}'");
    } else {
      reader.expect(TokenKind::BlockBegin, "a tag");
      if (reader.is(TokenKind::Name) && std::find(end.begin(), end.end(), reader.current().text) != end.end())
        break;
      body.push_back(parse_statement(reader));
      reader.expect(TokenKind::BlockEnd, "'%}'");
    }
  }
  return reader.make(NodeKind::Block, std::move(body));
}

// The body of a block behind the tag that opens it, and the name of the tag that closes it.
NodePointer parse_block(TokenReader& reader, const EndTags& end) {
  reader.expect(TokenKind::BlockEnd, "'%}'");
  NodePointer body = parse_body(reader, end);
  reader.take();
  return body;
}

NodePointer parse_for(TokenReader& reader) {
  NodePointer target = parse_target(reader);
  if (!reader.skip_name("in")) reader.refuse("found {}, expected \"in\"", describe(reader.current()));
  NodePointer items = parse_tuple(reader, WithChoice::No);
  NodePointer condition = reader.skip_name("if") ? parse_expression(reader) : nullptr;
  if (reader.is_name("recursive")) raise_unsupported("line {}: a recursive loop", reader.current().line);
  reader.expect(TokenKind::BlockEnd, "'%}'");
  NodePointer body = parse_body(reader, {"else", "endfor"}), otherwise;
  if (reader.take().text == "else") otherwise = parse_block(reader, {"endfor"});
  return reader.make(NodeKind::For, nodes(std::move(target), std::move(items), std::move(condition),
                                          std::move(body), std::move(otherwise)));
}

NodePointer parse_if(TokenReader& reader) {
  std::vector<NodePointer> branches;
  for (std::string tag = "if"; tag != "endif";) {
    if (tag != "else") branches.push_back(parse_tuple(reader, WithChoice::No));
    reader.expect(TokenKind::BlockEnd, "'%}'");
    branches.push_back(
        parse_body(reader, tag == "else" ? EndTags{"endif"} : EndTags{"elif", "else", "endif"}));
    tag = reader.take().text;
  }
  return reader.make(NodeKind::If, std::move(branches));
}

NodePointer parse_set(TokenReader& reader) {
  NodePointer target = parse_target(reader);
  if (reader.skip_operator("="))
    return reader.make(NodeKind::Set, nodes(std::move(target), parse_tuple(reader)));
  NodePointer filters = parse_block_filters(reader, false);
  NodePointer body = parse_block(reader, {"endset"});
  return reader.make(NodeKind::SetBlock, nodes(std::move(target), std::move(body), std::move(filters)));
}

// "(a, b=1)" and the body up to `end`.
NodePointer parse_macro_rest(TokenReader& reader, std::string name, bool has_parameters,
                             NodePointer (*parse_between)(TokenReader&), NodePointer* between,
                             std::string_view end) {
  std::vector<std::string> parameters;
  std::vector<NodePointer> children(1);
  while (has_parameters && !reader.skip_operator(")")) {
    if (!parameters.empty()) reader.expect_operator(",");
    parameters.push_back(reader.expect_name());
    NodePointer fallback = reader.skip_operator("=") ? parse_expression(reader) : nullptr;
    if (!fallback && children.size() > 1 && children.back())
      reader.refuse("parameter \"{}\" without a default follows one with a default", parameters.back());
    children.push_back(std::move(fallback));
  }
  if (between) *between = parse_between(reader);
  children[0] = parse_block(reader, {end});
  return reader.make(NodeKind::Macro, std::move(children), std::move(name), std::move(parameters));
}

NodePointer parse_macro(TokenReader& reader) {
  std::string name = reader.expect_name();
  reader.expect_operator("(");
  return parse_macro_rest(reader, std::move(name), true, nullptr, nullptr, "endmacro");
}

NodePointer parse_call_block(TokenReader& reader) {
  NodePointer call;
  const bool has_parameters = reader.skip_operator("(");
  const auto parse_call = [](TokenReader& r) { return parse_expression(r); };
  NodePointer caller = parse_macro_rest(reader, "caller", has_parameters, parse_call, &call, "endcall");
  if (call->kind != NodeKind::Call) raise("line {}: {{% call %}} holds no call", call->line);
  return reader.make(NodeKind::CallBlock, nodes(std::move(call), std::move(caller)));
}

NodePointer parse_filter_block(TokenReader& reader) {
  NodePointer filters = parse_block_filters(reader, true);
  NodePointer body = parse_block(reader, {"endfilter"});
  return reader.make(NodeKind::FilterBlock, nodes(std::move(filters), std::move(body)));
}

NodePointer parse_with(TokenReader& reader) {
  std::vector<NodePointer> children(1);
  while (!reader.is(TokenKind::BlockEnd)) {
    if (children.size() > 1) reader.expect_operator(",");
    children.push_back(reader.make(NodeKind::Name, {}, reader.expect_name()));
    reader.expect_operator("=");
    children.push_back(parse_expression(reader));
  }
  children[0] = parse_block(reader, {"endwith"});
  return reader.make(NodeKind::With, std::move(children));
}

NodePointer parse_statement(TokenReader& reader) {
  const int line = reader.current().line;
  const std::string tag = reader.expect_name();
  if (tag == "for") return parse_for(reader);
  if (tag == "if") return parse_if(reader);
  if (tag == "set") return parse_set(reader);
  if (tag == "macro") return parse_macro(reader);
  if (tag == "call") return parse_call_block(reader);
  if (tag == "filter") return parse_filter_block(reader);
  if (tag == "with") return parse_with(reader);
  if (tag == "generation") return parse_block(reader, {"endgeneration"});  // transformers' mark of answers
  if (tag == "break") return reader.make(NodeKind::Break);
  if (tag == "continue") return reader.make(NodeKind::Continue);
  if (tag.starts_with("end") || tag.starts_with("el"))
    raise("line {}: \"{}\" closes nothing here", line, tag);
  raise_unsupported("line {}: the tag \"{}\"", line, tag);
}

}  // namespace

NodePointer parse(std::string_view source) {
  TokenReader reader(tokenize(source));
  return parse_body(reader, {});
}

}  // namespace dmoerm::text::jinja
