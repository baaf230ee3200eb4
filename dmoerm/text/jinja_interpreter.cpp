// Statements: what they print, and what they assign.
#include "dmoerm/text/jinja_interpreter.h"

#include <algorithm>

#include "dmoerm/text/jinja_functions.h"
#include "dmoerm/text/jinja_interpreter_depth.h"

namespace dmoerm::text::jinja {
namespace {

ScopePointer inside(const ScopePointer& outer) {
  return std::make_shared<Scope>(Scope{outer, {}});
}

class MacroObject : public Object {
 public:
  MacroObject(Interpreter& interpreter, const Node& node, ScopePointer scope)
      : interpreter_(interpreter), node_(node), scope_(std::move(scope)) {}
  std::string describe() const override { return "<Macro '" + node_.text + "'>"; }
  bool callable() const override { return true; }
  std::optional<Value> get(const std::string& name) const override {
    return name == "name" ? std::optional<Value>(node_.text) : std::nullopt;
  }
  Value call(const Arguments& arguments) override {
    return interpreter_.call_macro(node_, scope_, arguments);
  }

 private:
  Interpreter& interpreter_;
  const Node& node_;
  ScopePointer scope_;
};

bool mentions(const Node& node, const std::string& name) {
  if (node.kind == NodeKind::Name && node.text == name) return true;
  return std::any_of(node.children.begin(), node.children.end(),
                     [&](const NodePointer& child) { return child && mentions(*child, name); });
}

}  // namespace

const Value* Scope::find(const std::string& name) const {
  for (const Scope* scope = this; scope; scope = scope->outer.get()) {
    const auto found = scope->variables.find(name);
    if (found != scope->variables.end()) return &found->second;
  }
  return nullptr;
}

Interpreter::Interpreter(std::map<std::string, Value> variables) : globals_(inside(nullptr)) {
  globals_->variables = global_functions(workspace_);
  for (auto& [name, value] : variables) globals_->variables[name] = std::move(value);
}

std::string Interpreter::run(const Node& tree) {
  std::string out;
  if (execute(tree, inside(globals_), out) != Flow::Next) raise("break or continue stands outside of a loop");
  return out;
}

void Interpreter::print(std::string_view text, std::string& out) {
  workspace_.charge(text.size());
  append(out, text);
}

Interpreter::Flow Interpreter::execute(const Node& node, const ScopePointer& scope, std::string& out) {
  const Deeper deeper(*this);
  switch (node.kind) {
    case NodeKind::Text:
      print(node.text, out);
      return Flow::Next;
    case NodeKind::Print:
      print(to_string(evaluate(node.child(0), scope)), out);
      return Flow::Next;
    case NodeKind::Block:
      return execute_block(node, scope, out);
    case NodeKind::For:
      return execute_for(node, scope, out);
    case NodeKind::If:
      return execute_if(node, scope, out);
    case NodeKind::With:
      return execute_with(node, scope, out);
    case NodeKind::Set:
      assign(node.child(0), evaluate(node.child(1), scope), scope);
      return Flow::Next;
    case NodeKind::SetBlock: {
      const Value text = text_of_block(node.child(1), scope);
      assign(node.child(0), node.has(2) ? evaluate_filter(node.child(2), scope, &text) : text, scope);
      return Flow::Next;
    }
    case NodeKind::FilterBlock: {
      const Value text = text_of_block(node.child(1), scope);
      print(to_string(evaluate_filter(node.child(0), scope, &text)), out);
      return Flow::Next;
    }
    case NodeKind::Macro:
      scope->variables[node.text] = macro(node, scope);
      return Flow::Next;
    case NodeKind::CallBlock: {
      Arguments caller;
      caller.named.emplace_back("caller", macro(node.child(1), scope));
      print(to_string(evaluate_call(node.child(0), scope, std::move(caller))), out);
      return Flow::Next;
    }
    case NodeKind::Break:
      return Flow::Break;
    case NodeKind::Continue:
      return Flow::Continue;
    default:
      raise("an expression stands where a statement belongs");
  }
}

Interpreter::Flow Interpreter::execute_block(const Node& node, const ScopePointer& scope, std::string& out) {
  for (const NodePointer& statement : node.children) {
    const Flow flow = execute(*statement, scope, out);
    if (flow != Flow::Next) return flow;
  }
  return Flow::Next;
}

Interpreter::Flow Interpreter::execute_for(const Node& node, const ScopePointer& scope, std::string& out) {
  std::vector<Value> items;
  for (Value& item : iterate(evaluate(node.child(1), scope))) {
    workspace_.charge(32);
    if (node.has(2)) {
      const ScopePointer trial = inside(scope);
      assign(node.child(0), item, trial);
      if (!evaluate(node.child(2), trial).truthy()) continue;
    }
    items.push_back(std::move(item));
  }
  if (items.empty()) return node.has(4) ? execute(node.child(4), scope, out) : Flow::Next;
  auto owned = std::make_unique<Loop>(std::move(items));
  Loop& loop = *owned;
  const Value loop_value = workspace_.own(std::move(owned));
  for (size_t i = 0; i < loop.items().size(); ++i) {
    loop.move_to(i);
    const ScopePointer body = inside(scope);
    assign(node.child(0), loop.items()[i], body);
    body->variables["loop"] = loop_value;
    if (execute(node.child(3), body, out) == Flow::Break) break;
  }
  return Flow::Next;
}

Interpreter::Flow Interpreter::execute_if(const Node& node, const ScopePointer& scope, std::string& out) {
  size_t i = 0;
  for (; i + 1 < node.children.size(); i += 2)
    if (evaluate(node.child(i), scope).truthy()) return execute(node.child(i + 1), scope, out);
  return i < node.children.size() ? execute(node.child(i), scope, out) : Flow::Next;
}

Interpreter::Flow Interpreter::execute_with(const Node& node, const ScopePointer& scope, std::string& out) {
  const ScopePointer body = inside(scope);
  for (size_t i = 1; i + 1 < node.children.size(); i += 2)
    assign(node.child(i), evaluate(node.child(i + 1), scope), body);
  return execute(node.child(0), body, out);
}

std::string Interpreter::text_of_block(const Node& body, const ScopePointer& outer) {
  std::string text;
  if (execute(body, inside(outer), text) != Flow::Next) raise("break or continue stands outside of a loop");
  return text;
}

Value Interpreter::macro(const Node& node, const ScopePointer& scope) {
  return workspace_.own(std::make_unique<MacroObject>(*this, node, scope));
}

Value Interpreter::call_macro(const Node& macro, const ScopePointer& scope, const Arguments& arguments) {
  const ScopePointer body = inside(scope);
  Arguments own, rest;
  for (size_t i = 0; i < arguments.positional.size(); ++i)
    (i < macro.names.size() ? own : rest).positional.push_back(arguments.positional[i]);
  for (const auto& [name, value] : arguments.named) {
    const bool is_own = std::find(macro.names.begin(), macro.names.end(), name) != macro.names.end();
    if (!is_own && name == "caller") {
      body->variables[name] = value;
    } else {
      (is_own ? own : rest).named.emplace_back(name, value);
    }
  }
  if (!rest.positional.empty() && !mentions(macro, "varargs"))
    raise("macro \"{}\" takes at most {} arguments", macro.text, macro.names.size());
  if (!rest.named.empty() && !mentions(macro, "kwargs"))
    raise("macro \"{}\" has no argument \"{}\"", macro.text, rest.named[0].first);
  Dict named;
  for (const auto& [name, value] : rest.named) named.set(Value(name), value);
  body->variables["varargs"] = Value::tuple(std::move(rest.positional));
  body->variables["kwargs"] = Value::dict(std::move(named));

  const std::vector<Value> values = bind("macro \"" + macro.text + "\"", own, macro.names);
  for (size_t i = 0; i < values.size(); ++i) {
    const bool given = i < own.positional.size() ||
                       std::any_of(own.named.begin(), own.named.end(),
                                   [&](const auto& argument) { return argument.first == macro.names[i]; });
    body->variables[macro.names[i]] =
        !given && macro.has(i + 1) ? evaluate(macro.child(i + 1), body) : values[i];
  }
  return workspace_.charged(text_of_block(macro.child(0), body));
}

void Interpreter::assign(const Node& target, const Value& value, const ScopePointer& scope) {
  if (target.kind == NodeKind::Name) {
    scope->variables[target.text] = value;
  } else if (target.kind == NodeKind::Attribute) {
    const Value* owner = scope->find(target.child(0).text);
    auto* space = owner ? dynamic_cast<Namespace*>(owner->object()) : nullptr;
    if (!space) raise("\"{}\" is no namespace: its attributes cannot be set", target.child(0).text);
    space->set(target.text, value);
  } else {
    const std::vector<Value> items = iterate(value);
    if (items.size() != target.children.size())
      raise("found {} values to unpack, expected {}", items.size(), target.children.size());
    for (size_t i = 0; i < items.size(); ++i) assign(target.child(i), items[i], scope);
  }
}

}  // namespace dmoerm::text::jinja
