// The tree of a parsed template.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dmoerm/text/jinja_value.h"

namespace dmoerm::text::jinja {

// What `text`, `names` and `children` of a node hold; "?" marks a child that may be null.
enum class NodeKind {
  // Expressions
  Constant,   // value
  Name,       // text
  ListOf,     // children: items
  TupleOf,    // children: items
  DictOf,     // children: key, value, key, value …
  Attribute,  // text: name; children: object
  Subscript,  // children: object, index
  Slice,      // children: start?, stop?, step?  (only as a Subscript's index)
  Call,       // names and children: see below; children[0]: what is called
  Filter,     // text: name; names and children: see below; children[0]: input? (null: a block's text)
  Test,       // text: name; names and children: see below; children[0]: input
  Unary,      // text: operator; children: operand
  Binary,     // text: operator; children: left, right
  Concat,     // children: what ~ joins
  Compare,    // names: operators; children: one more
  Choice,     // a if b else c; children: b, a, c?
  // Statements
  Text,         // text
  Print,        // children: expression
  Block,        // children: statements
  For,          // children: target, iterable, condition?, body, else?
  If,           // children: condition, body, condition, body …, and the last else's body, if there is one
  Set,          // children: target, value
  SetBlock,     // children: target, body, filter?
  Macro,        // text: name; names: parameters; children: body, a default? for each parameter
  CallBlock,    // children: call, macro (the caller)
  FilterBlock,  // children: filter, body
  With,         // children: body, target, value, target, value …
  Break,
  Continue,
};

// Call, Filter and Test: children[i + 1] is the argument of the name names[i]: "" for a positional one, "*"
// and "**" for a list or a mapping of them.
struct Node {
  NodeKind kind;
  int line;
  std::string text;
  std::vector<std::string> names;
  std::vector<std::unique_ptr<Node>> children;
  Value value;
  int depth = 1;  // of the tree from here

  const Node& child(size_t i) const { return *children[i]; }
  bool has(size_t i) const { return i < children.size() && children[i] != nullptr; }
};

using NodePointer = std::unique_ptr<Node>;

}  // namespace dmoerm::text::jinja
