// Runs the tree of a template.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "dmoerm/text/jinja_tree.h"
#include "dmoerm/text/jinja_workspace.h"

namespace dmoerm::text::jinja {

// Variables: those of a block, and around it those of the blocks that it lies in.
struct Scope {
  std::shared_ptr<Scope> outer;
  std::map<std::string, Value> variables;

  const Value* find(const std::string& name) const;
};
using ScopePointer = std::shared_ptr<Scope>;

class Interpreter {
 public:
  explicit Interpreter(std::map<std::string, Value> variables);

  // The text of the template; TemplateError for what it cannot do.
  std::string run(const Node& tree);
  int line() const { return line_; }  // of what was evaluated last

  // A macro's body with these arguments, in the scope that it was defined in.
  Value call_macro(const Node& macro, const ScopePointer& scope, const Arguments& arguments);

 private:
  enum class Flow { Next, Break, Continue };
  class Deeper;

  Flow execute(const Node& node, const ScopePointer& scope, std::string& out);
  Flow execute_block(const Node& node, const ScopePointer& scope, std::string& out);
  Flow execute_for(const Node& node, const ScopePointer& scope, std::string& out);
  Flow execute_if(const Node& node, const ScopePointer& scope, std::string& out);
  Flow execute_with(const Node& node, const ScopePointer& scope, std::string& out);
  std::string text_of_block(const Node& body, const ScopePointer& outer);
  Value macro(const Node& node, const ScopePointer& scope);
  void assign(const Node& target, const Value& value, const ScopePointer& scope);
  void print(std::string_view text, std::string& out);

  Value evaluate(const Node& node, const ScopePointer& scope);
  Value evaluate_dict(const Node& node, const ScopePointer& scope);
  Value evaluate_subscript(const Node& node, const ScopePointer& scope);
  Value evaluate_binary(const Node& node, const ScopePointer& scope);
  Value evaluate_concat(const Node& node, const ScopePointer& scope);
  Value evaluate_compare(const Node& node, const ScopePointer& scope);
  Value evaluate_choice(const Node& node, const ScopePointer& scope);
  Value evaluate_call(const Node& node, const ScopePointer& scope, Arguments more = {});
  Value evaluate_filter(const Node& node, const ScopePointer& scope, const Value* block_text = nullptr);
  std::vector<Value> evaluate_all(const Node& node, const ScopePointer& scope);
  Arguments evaluate_arguments(const Node& node, const ScopePointer& scope, Arguments arguments = {});

  Workspace workspace_;
  ScopePointer globals_;
  int line_ = 1, depth_ = 0;
};

}  // namespace dmoerm::text::jinja
