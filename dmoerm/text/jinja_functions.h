// The global functions of a template, and the objects that it can make.
#pragma once

#include <map>
#include <string>

#include "dmoerm/text/jinja_workspace.h"

namespace dmoerm::text::jinja {

// What {% set ns.name = … %} may change.
class Namespace : public Object {
 public:
  explicit Namespace(std::map<std::string, Value> values) : values_(std::move(values)) {}
  std::string describe() const override { return "<Namespace>"; }
  std::optional<Value> get(const std::string& name) const override;
  void set(const std::string& name, Value value) { values_[name] = std::move(value); }

 private:
  std::map<std::string, Value> values_;
};

// `loop` of a for loop.
class Loop : public Object {
 public:
  explicit Loop(std::vector<Value> items) : items_(std::move(items)) {}
  std::string describe() const override;
  std::optional<Value> get(const std::string& name) const override;
  Value call_method(const std::string& name, const Arguments& arguments) override;

  const std::vector<Value>& items() const { return items_; }
  void move_to(size_t index) { index_ = index; }

 private:
  std::vector<Value> items_;
  size_t index_ = 0;
  std::optional<Value> last_changed_;
};

// range, dict, namespace, raise_exception, strftime_now. strftime_now() gives the same day whatever the clock
// says, so that a reward does not depend on the day: 26 July 2024, which Llama's templates name themselves
// where there is no clock.
std::map<std::string, Value> global_functions(Workspace& workspace);

}  // namespace dmoerm::text::jinja
