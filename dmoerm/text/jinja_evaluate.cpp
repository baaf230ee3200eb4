// Expressions: what their values are.
#include "dmoerm/text/jinja_filters.h"
#include "dmoerm/text/jinja_interpreter.h"
#include "dmoerm/text/jinja_interpreter_depth.h"
#include "dmoerm/text/jinja_methods.h"
#include "dmoerm/text/jinja_operators.h"

namespace dmoerm::text::jinja {

Value Interpreter::evaluate(const Node& node, const ScopePointer& scope) {
  const Deeper deeper(*this);
  line_ = node.line;
  switch (node.kind) {
    case NodeKind::Constant:
      return node.value;
    case NodeKind::Name: {
      const Value* value = scope->find(node.text);
      return value ? *value : Value::undefined("'" + node.text + "' is undefined");
    }
    case NodeKind::ListOf:
      return workspace_.charged(Value::list(evaluate_all(node, scope)));
    case NodeKind::TupleOf:
      return workspace_.charged(Value::tuple(evaluate_all(node, scope)));
    case NodeKind::DictOf:
      return evaluate_dict(node, scope);
    case NodeKind::Attribute:
      return attribute(evaluate(node.child(0), scope), node.text);
    case NodeKind::Subscript:
      return evaluate_subscript(node, scope);
    case NodeKind::Call:
      return evaluate_call(node, scope);
    case NodeKind::Filter:
      return evaluate_filter(node, scope);
    case NodeKind::Test: {
      const Value input = evaluate(node.child(0), scope);
      return apply_test(workspace_, node.text, input, evaluate_arguments(node, scope));
    }
    case NodeKind::Unary: {
      const Value operand = evaluate(node.child(0), scope);
      return node.text == "not" ? Value(!operand.truthy()) : unary(node.text, operand);
    }
    case NodeKind::Binary:
      return evaluate_binary(node, scope);
    case NodeKind::Concat:
      return evaluate_concat(node, scope);
    case NodeKind::Compare:
      return evaluate_compare(node, scope);
    case NodeKind::Choice:
      return evaluate_choice(node, scope);
    default:
      raise("a statement stands where an expression belongs");
  }
}

std::vector<Value> Interpreter::evaluate_all(const Node& node, const ScopePointer& scope) {
  std::vector<Value> values;
  for (const NodePointer& child : node.children) values.push_back(evaluate(*child, scope));
  return values;
}

Value Interpreter::evaluate_dict(const Node& node, const ScopePointer& scope) {
  Dict dict;
  for (size_t i = 0; i < node.children.size(); i += 2) {
    const Value key = evaluate(node.child(i), scope);
    dict.set(key, evaluate(node.child(i + 1), scope));
  }
  return workspace_.charged(Value::dict(std::move(dict)));
}

Value Interpreter::evaluate_subscript(const Node& node, const ScopePointer& scope) {
  const Value object = evaluate(node.child(0), scope);
  const Node& index = node.child(1);
  if (index.kind != NodeKind::Slice) {
    if (object.is_string()) workspace_.charge(object.weight());
    return subscript(object, evaluate(index, scope));
  }
  std::vector<Value> bounds(3);
  for (size_t i = 0; i < 3; ++i)
    if (index.has(i)) bounds[i] = evaluate(index.child(i), scope);
  workspace_.charge(object.weight());
  return workspace_.charged(slice(object, bounds[0], bounds[1], bounds[2]));
}

Value Interpreter::evaluate_binary(const Node& node, const ScopePointer& scope) {
  const Value left = evaluate(node.child(0), scope);
  if (node.text == "and") return left.truthy() ? evaluate(node.child(1), scope) : left;
  if (node.text == "or") return left.truthy() ? left : evaluate(node.child(1), scope);
  const Value right = evaluate(node.child(1), scope);
  return workspace_.charged(binary(node.text, left, right));
}

Value Interpreter::evaluate_concat(const Node& node, const ScopePointer& scope) {
  std::string text;
  for (const NodePointer& child : node.children) append(text, to_string(evaluate(*child, scope)));
  return workspace_.charged(std::move(text));
}

Value Interpreter::evaluate_compare(const Node& node, const ScopePointer& scope) {
  Value left = evaluate(node.child(0), scope);
  for (size_t i = 0; i < node.names.size(); ++i) {
    Value right = evaluate(node.child(i + 1), scope);
    workspace_.charge(left.weight() + right.weight());
    if (!compare(node.names[i], left, right)) return false;
    left = std::move(right);
  }
  return true;
}

Value Interpreter::evaluate_choice(const Node& node, const ScopePointer& scope) {
  if (evaluate(node.child(0), scope).truthy()) return evaluate(node.child(1), scope);
  if (node.has(2)) return evaluate(node.child(2), scope);
  return Value::undefined("the inline if-expression was false and has no else");
}

Arguments Interpreter::evaluate_arguments(const Node& node, const ScopePointer& scope, Arguments arguments) {
  for (size_t i = 0; i < node.names.size(); ++i) {
    Value value = evaluate(node.child(i + 1), scope);
    if (node.names[i].empty()) {
      arguments.positional.push_back(std::move(value));
    } else if (node.names[i] == "*") {
      for (Value& item : iterate(value)) arguments.positional.push_back(std::move(item));
    } else if (node.names[i] == "**") {
      if (!value.is_dict()) raise("found '{}' behind **, expected a mapping", value.type_name());
      for (const auto& [key, item] : value.dict().items) arguments.named.emplace_back(to_string(key), item);
    } else {
      arguments.named.emplace_back(node.names[i], std::move(value));
    }
  }
  workspace_.charge(32 * (arguments.positional.size() + arguments.named.size()));
  return arguments;
}

Value Interpreter::evaluate_call(const Node& node, const ScopePointer& scope, Arguments more) {
  const Node& callee = node.child(0);
  if (callee.kind == NodeKind::Attribute) {
    const Value object = evaluate(callee.child(0), scope);
    const Arguments arguments = evaluate_arguments(node, scope, std::move(more));
    if (object.object()) return object.object()->call_method(callee.text, arguments);
    return call_method(workspace_, object, callee.text, arguments);
  }
  const Value function = evaluate(callee, scope);
  if (function.is_undefined() && callee.kind == NodeKind::Name)
    raise_unsupported("the function \"{}\"", callee.text);
  if (function.is_undefined()) raise("{}", function.why_undefined());
  if (!function.object()) raise("'{}' object is not callable", function.type_name());
  return function.object()->call(evaluate_arguments(node, scope, std::move(more)));
}

Value Interpreter::evaluate_filter(const Node& node, const ScopePointer& scope, const Value* block_text) {
  line_ = node.line;
  Value input;
  if (!node.has(0)) {
    input = *block_text;
  } else if (block_text) {
    input = evaluate_filter(node.child(0), scope, block_text);
  } else {
    input = evaluate(node.child(0), scope);
  }
  return apply_filter(workspace_, node.text, input, evaluate_arguments(node, scope));
}

}  // namespace dmoerm::text::jinja
