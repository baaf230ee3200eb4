#include "dmoerm/text/jinja_expression_parser.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>

namespace dmoerm::text::jinja {
namespace {

using Nested = TokenReader::Nested;

NodePointer parse_unary(TokenReader& reader, bool with_filters = true);

bool is_one_of(const TokenReader& reader, std::initializer_list<std::string_view> symbols) {
  return std::any_of(symbols.begin(), symbols.end(),
                     [&](std::string_view symbol) { return reader.is_operator(symbol); });
}

// left OP right OP right …
NodePointer parse_left_to_right(TokenReader& reader, std::initializer_list<std::string_view> symbols,
                                NodePointer (*parse_operand)(TokenReader&)) {
  NodePointer left = parse_operand(reader);
  while (is_one_of(reader, symbols)) {
    const std::string symbol = reader.take().text;
    NodePointer right = parse_operand(reader);
    left = reader.make(NodeKind::Binary, nodes(std::move(left), std::move(right)), symbol);
  }
  return left;
}

NodePointer parse_power(TokenReader& reader) {
  return parse_left_to_right(reader, {"**"}, [](TokenReader& r) { return parse_unary(r); });
}

NodePointer parse_product(TokenReader& reader) {
  return parse_left_to_right(reader, {"*", "/", "//", "%"}, parse_power);
}

NodePointer parse_concat(TokenReader& reader) {
  std::vector<NodePointer> parts = nodes(parse_product(reader));
  while (reader.skip_operator("~")) parts.push_back(parse_product(reader));
  return parts.size() == 1 ? std::move(parts[0]) : reader.make(NodeKind::Concat, std::move(parts));
}

NodePointer parse_sum(TokenReader& reader) {
  return parse_left_to_right(reader, {"+", "-"}, parse_concat);
}

NodePointer parse_comparison(TokenReader& reader) {
  std::vector<NodePointer> operands = nodes(parse_sum(reader));
  std::vector<std::string> operators;
  for (;;) {
    if (is_one_of(reader, {"==", "!=", "<", "<=", ">", ">="})) {
      operators.push_back(reader.take().text);
    } else if (reader.skip_name("in")) {
      operators.push_back("in");
    } else if (reader.is_name("not") && reader.following().kind == TokenKind::Name &&
               reader.following().text == "in") {
      reader.take();
      reader.take();
      operators.push_back("not in");
    } else {
      break;
    }
    operands.push_back(parse_sum(reader));
  }
  if (operators.empty()) return std::move(operands[0]);
  return reader.make(NodeKind::Compare, std::move(operands), "", std::move(operators));
}

NodePointer parse_not(TokenReader& reader) {
  const Nested nested(reader);
  if (!reader.skip_name("not")) return parse_comparison(reader);
  return reader.make(NodeKind::Unary, nodes(parse_not(reader)), "not");
}

NodePointer parse_and(TokenReader& reader) {
  NodePointer left = parse_not(reader);
  while (reader.skip_name("and"))
    left = reader.make(NodeKind::Binary, nodes(std::move(left), parse_not(reader)), "and");
  return left;
}

NodePointer parse_or(TokenReader& reader) {
  NodePointer left = parse_and(reader);
  while (reader.skip_name("or"))
    left = reader.make(NodeKind::Binary, nodes(std::move(left), parse_and(reader)), "or");
  return left;
}

// What stands between brackets, separated by commas, a last comma allowed.
template <typename ParseItem>
void parse_items(TokenReader& reader, std::string_view close, ParseItem parse_item) {
  for (bool first = true; !reader.is_operator(close); first = false) {
    if (!first) {
      reader.expect_operator(",");
      if (reader.is_operator(close)) break;
    }
    parse_item();
  }
  reader.expect_operator(close);
}

// Behind the opening bracket, onto a node that holds what is called or the input.
void parse_arguments(TokenReader& reader, Node& node) {
  parse_items(reader, ")", [&] {
    std::string name;
    if (reader.skip_operator("*")) {
      name = "*";
    } else if (reader.skip_operator("**")) {
      name = "**";
    } else if (reader.is(TokenKind::Name) && reader.following().kind == TokenKind::Operator &&
               reader.following().text == "=") {
      name = reader.take().text;
      reader.take();
    } else if (!node.names.empty() && !node.names.back().empty() && node.names.back() != "*") {
      reader.refuse("a positional argument follows one by name");
    }
    NodePointer value = parse_expression(reader);
    node.depth = std::max(node.depth, value->depth + 1);
    node.names.push_back(std::move(name));
    node.children.push_back(std::move(value));
  });
  if (node.depth > kMaxNesting) reader.refuse("expressions are nested more than {} deep", kMaxNesting);
}

NodePointer parse_number(TokenReader& reader) {
  const Token token = reader.take();
  const char *begin = token.text.data(), *end = begin + token.text.size();
  int64_t whole = 0;
  double real = 0;
  const bool is_float = token.kind == TokenKind::Float;
  const auto result = is_float ? std::from_chars(begin, end, real) : std::from_chars(begin, end, whole);
  if (result.ec != std::errc())
    raise_unsupported("line {}: the number {} is out of range", token.line, token.text);
  return reader.constant(is_float ? Value(real) : Value(whole));
}

NodePointer parse_list(TokenReader& reader) {
  std::vector<NodePointer> items;
  parse_items(reader, "]", [&] { items.push_back(parse_expression(reader)); });
  return reader.make(NodeKind::ListOf, std::move(items));
}

NodePointer parse_dict(TokenReader& reader) {
  std::vector<NodePointer> items;
  parse_items(reader, "}", [&] {
    items.push_back(parse_expression(reader));
    reader.expect_operator(":");
    items.push_back(parse_expression(reader));
  });
  return reader.make(NodeKind::DictOf, std::move(items));
}

NodePointer parse_brackets(TokenReader& reader) {
  if (reader.skip_operator(")")) return reader.make(NodeKind::TupleOf);
  NodePointer inside = parse_tuple(reader);
  reader.expect_operator(")");
  return inside;
}

NodePointer parse_word(TokenReader& reader) {
  const std::string name = reader.take().text;
  if (name == "true" || name == "True") return reader.constant(true);
  if (name == "false" || name == "False") return reader.constant(false);
  if (name == "none" || name == "None") return reader.constant(Value());
  return reader.make(NodeKind::Name, {}, name);
}

NodePointer parse_primary(TokenReader& reader) {
  if (reader.is(TokenKind::Name)) return parse_word(reader);
  if (reader.is(TokenKind::Integer) || reader.is(TokenKind::Float)) return parse_number(reader);
  if (reader.is(TokenKind::String)) {
    std::string text;
    while (reader.is(TokenKind::String)) text += reader.take().text;
    return reader.constant(std::move(text));
  }
  if (reader.skip_operator("(")) return parse_brackets(reader);
  if (reader.skip_operator("[")) return parse_list(reader);
  if (reader.skip_operator("{")) return parse_dict(reader);
  reader.refuse("unexpected {}, expected an expression", describe(reader.current()));
}

// Behind "[": an index, or start:stop:step.
NodePointer parse_index(TokenReader& reader) {
  std::vector<NodePointer> parts(1);
  for (;;) {
    if (reader.skip_operator(":")) {
      if (parts.size() == 3) reader.refuse("a slice has more than three parts");
      parts.emplace_back();
    } else if (reader.skip_operator("]")) {
      break;
    } else if (!parts.back()) {
      parts.back() = parse_expression(reader);
    } else {
      reader.refuse("found {}, expected ']'", describe(reader.current()));
    }
  }
  if (parts.size() > 1) {
    parts.resize(3);
    return reader.make(NodeKind::Slice, std::move(parts));
  }
  if (!parts[0]) reader.refuse("an index is missing between '[' and ']'");
  return std::move(parts[0]);
}

NodePointer parse_attribute(TokenReader& reader, NodePointer object) {
  if (reader.is(TokenKind::Integer))
    return reader.make(NodeKind::Subscript, nodes(std::move(object), parse_number(reader)));
  std::string name = reader.expect_name();
  return reader.make(NodeKind::Attribute, nodes(std::move(object)), std::move(name));
}

NodePointer parse_call(TokenReader& reader, NodePointer callee) {
  NodePointer call = reader.make(NodeKind::Call, nodes(std::move(callee)));
  parse_arguments(reader, *call);
  return call;
}

NodePointer parse_postfix(TokenReader& reader, NodePointer node) {
  for (;;) {
    if (reader.skip_operator(".")) {
      node = parse_attribute(reader, std::move(node));
    } else if (reader.skip_operator("[")) {
      NodePointer index = parse_index(reader);
      node = reader.make(NodeKind::Subscript, nodes(std::move(node), std::move(index)));
    } else if (reader.skip_operator("(")) {
      node = parse_call(reader, std::move(node));
    } else {
      return node;
    }
  }
}

std::string parse_dotted_name(TokenReader& reader) {
  std::string name = reader.expect_name();
  while (reader.skip_operator(".")) name += "." + reader.expect_name();
  return name;
}

// Behind "|".
NodePointer parse_filter(TokenReader& reader, NodePointer input) {
  std::string name = parse_dotted_name(reader);
  NodePointer filter = reader.make(NodeKind::Filter, nodes(std::move(input)), std::move(name));
  if (reader.skip_operator("(")) parse_arguments(reader, *filter);
  return filter;
}

bool begins_argument(const TokenReader& reader) {
  switch (reader.current().kind) {
    case TokenKind::Name:
      return !reader.is_name("else") && !reader.is_name("or") && !reader.is_name("and");
    case TokenKind::String:
    case TokenKind::Integer:
    case TokenKind::Float:
      return true;
    default:
      return is_one_of(reader, {"(", "[", "{"});
  }
}

// Behind "is". The one argument of a test may do without brackets.
NodePointer parse_test(TokenReader& reader, NodePointer input) {
  const bool negated = reader.skip_name("not");
  std::string name = parse_dotted_name(reader);
  NodePointer test = reader.make(NodeKind::Test, nodes(std::move(input)), std::move(name));
  if (reader.skip_operator("(")) {
    parse_arguments(reader, *test);
  } else if (begins_argument(reader)) {
    if (reader.is_name("is")) reader.refuse("tests cannot be chained with \"is\"");
    NodePointer argument = parse_postfix(reader, parse_primary(reader));
    test->depth = std::max(test->depth, argument->depth + 1);
    test->names.emplace_back();
    test->children.push_back(std::move(argument));
  }
  return negated ? reader.make(NodeKind::Unary, nodes(std::move(test)), "not") : std::move(test);
}

NodePointer parse_unary(TokenReader& reader, bool with_filters) {
  const Nested nested(reader);
  NodePointer node;
  if (is_one_of(reader, {"-", "+"})) {
    const std::string sign = reader.take().text;
    node = reader.make(NodeKind::Unary, nodes(parse_unary(reader, false)), sign);
  } else {
    node = parse_primary(reader);
  }
  node = parse_postfix(reader, std::move(node));
  while (with_filters) {
    if (reader.skip_operator("|")) {
      node = parse_filter(reader, std::move(node));
    } else if (reader.skip_name("is")) {
      node = parse_test(reader, std::move(node));
    } else if (reader.skip_operator("(")) {
      node = parse_call(reader, std::move(node));
    } else {
      break;
    }
  }
  return node;
}

// Where a tuple without brackets, or an expression, ends.
bool at_tuple_end(const TokenReader& reader) {
  return reader.is(TokenKind::PrintEnd) || reader.is(TokenKind::BlockEnd) || reader.is_operator(")") ||
         reader.is_operator("=") || reader.is_name("in") || reader.is_name("recursive");
}

}  // namespace

NodePointer parse_expression(TokenReader& reader, WithChoice choice) {
  const Nested nested(reader);
  NodePointer node = parse_or(reader);
  while (choice == WithChoice::Yes && reader.skip_name("if")) {
    NodePointer condition = parse_or(reader);
    NodePointer otherwise = reader.skip_name("else") ? parse_expression(reader) : nullptr;
    node = reader.make(NodeKind::Choice, nodes(std::move(condition), std::move(node), std::move(otherwise)));
  }
  return node;
}

NodePointer parse_tuple(TokenReader& reader, WithChoice choice) {
  NodePointer first = parse_expression(reader, choice);
  if (!reader.is_operator(",")) return first;
  std::vector<NodePointer> items = nodes(std::move(first));
  while (reader.skip_operator(",") && !at_tuple_end(reader))
    items.push_back(parse_expression(reader, choice));
  return reader.make(NodeKind::TupleOf, std::move(items));
}

NodePointer parse_target(TokenReader& reader) {
  std::vector<NodePointer> targets;
  bool is_tuple = false;
  do {
    if (at_tuple_end(reader)) break;
    if (reader.skip_operator("(")) {
      targets.push_back(parse_target(reader));
      reader.expect_operator(")");
    } else {
      std::string name = reader.expect_name();
      for (const char* reserved : {"true", "false", "none", "True", "False", "None"})
        if (name == reserved) reader.refuse("\"{}\" cannot be assigned to", name);
      NodePointer target = reader.make(NodeKind::Name, {}, std::move(name));
      if (reader.skip_operator("."))
        target = reader.make(NodeKind::Attribute, nodes(std::move(target)), reader.expect_name());
      targets.push_back(std::move(target));
    }
    is_tuple = is_tuple || reader.is_operator(",");
  } while (reader.skip_operator(","));
  if (targets.empty()) reader.refuse("found {}, expected a name", describe(reader.current()));
  return is_tuple ? reader.make(NodeKind::TupleOf, std::move(targets)) : std::move(targets[0]);
}

NodePointer parse_block_filters(TokenReader& reader, bool first_without_bar) {
  NodePointer filters;
  while (first_without_bar || reader.skip_operator("|")) {
    filters = parse_filter(reader, std::move(filters));
    first_without_bar = false;
  }
  return filters;
}

}  // namespace dmoerm::text::jinja
