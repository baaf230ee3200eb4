#include "dmoerm/text/jinja_functions.h"

#include <ctime>

namespace dmoerm::text::jinja {
namespace {

class Function : public Object {
 public:
  using Body = Value (*)(Workspace& workspace, const Arguments& arguments);
  Function(Workspace& workspace, std::string name, Body body)
      : workspace_(workspace), name_(std::move(name)), body_(body) {}
  std::string describe() const override { return "<function " + name_ + ">"; }
  bool callable() const override { return true; }
  Value call(const Arguments& arguments) override { return body_(workspace_, arguments); }

 private:
  Workspace& workspace_;
  std::string name_;
  Body body_;
};

Value range(Workspace& workspace, const Arguments& arguments) {
  const std::vector<Value> bounds = bind("range", arguments, {"start", "stop", "step"}, 1);
  const bool one = bounds[1].is_undefined();
  for (const Value& bound : bounds)
    if (!bound.is_undefined() && !bound.integer())
      raise("range: found '{}', expected an int", bound.type_name());
  const int64_t start = one ? 0 : *bounds[0].integer(), stop = *bounds[one ? 0 : 1].integer();
  const int64_t step = bounds[2].is_undefined() ? 1 : *bounds[2].integer();
  if (step == 0) raise("range: the step is 0");
  std::vector<Value> items;
  for (int64_t i = start; step > 0 ? i < stop : i > stop;) {
    if (static_cast<int64_t>(items.size()) == kMaxRange) raise("range: more than {} numbers", kMaxRange);
    items.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return workspace.charged(Value::list(std::move(items)));
}

// The mappings and lists of pairs among the positional arguments, then those by name.
Dict merged(const std::string& callee, const Arguments& arguments) {
  Dict dict;
  for (const Value& source : arguments.positional) {
    if (source.is_dict()) {
      for (const auto& [key, value] : source.dict().items) dict.set(key, value);
      continue;
    }
    for (const Value& pair : iterate(source)) {
      if (!pair.is_list() || pair.list().items.size() != 2) raise("{}: expected a mapping or pairs", callee);
      dict.set(pair.list().items[0], pair.list().items[1]);
    }
  }
  for (const auto& [name, value] : arguments.named) dict.set(Value(name), value);
  return dict;
}

Value make_dict(Workspace& workspace, const Arguments& arguments) {
  return workspace.charged(Value::dict(merged("dict", arguments)));
}

Value make_namespace(Workspace& workspace, const Arguments& arguments) {
  std::map<std::string, Value> values;
  for (const auto& [key, value] : merged("namespace", arguments).items) values[to_string(key)] = value;
  return workspace.own(std::make_unique<Namespace>(std::move(values)));
}

Value raise_exception(Workspace&, const Arguments& arguments) {
  const Value message = bind("raise_exception", arguments, {"message"}, 1)[0];
  raise("the template refuses these messages: {}", to_string(message));
}

Value strftime_now(Workspace&, const Arguments& arguments) {
  const Value format = bind("strftime_now", arguments, {"format"}, 1)[0];
  if (!format.is_string()) raise("strftime_now: found '{}', expected a str", format.type_name());
  std::tm day = {};
  day.tm_year = 2024 - 1900;
  day.tm_mon = 7 - 1;
  day.tm_mday = 26;
  day.tm_wday = 5;
  day.tm_yday = 207;
  std::string text(1024, '\0');
  const size_t length = std::strftime(text.data(), text.size(), (format.text() + " ").c_str(), &day);
  if (length == 0) raise("strftime_now: the format \"{}\" gives no text", format.text());
  text.resize(length - 1);
  return text;
}

}  // namespace

std::optional<Value> Namespace::get(const std::string& name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::nullopt : std::optional(found->second);
}

std::string Loop::describe() const {
  return fmt::format("<LoopContext {}/{}>", index_ + 1, items_.size());
}

std::optional<Value> Loop::get(const std::string& name) const {
  const auto index = static_cast<int64_t>(index_), length = static_cast<int64_t>(items_.size());
  if (name == "index") return index + 1;
  if (name == "index0") return index;
  if (name == "revindex") return length - index;
  if (name == "revindex0") return length - index - 1;
  if (name == "first") return index == 0;
  if (name == "last") return index + 1 == length;
  if (name == "length") return length;
  if (name == "depth") return int64_t{1};
  if (name == "depth0") return int64_t{0};
  if (name == "previtem")
    return index > 0 ? items_[index - 1] : Value::undefined("there is no previous item");
  if (name == "nextitem")
    return index + 1 < length ? items_[index + 1] : Value::undefined("there is no next item");
  return std::nullopt;
}

Value Loop::call_method(const std::string& name, const Arguments& arguments) {
  if (name == "cycle") {
    if (arguments.positional.empty()) raise("loop.cycle: no items given");
    return arguments.positional[index_ % arguments.positional.size()];
  }
  if (name != "changed") return Object::call_method(name, arguments);
  const Value now = Value::tuple(arguments.positional);
  const bool changed = !last_changed_ || !equal(*last_changed_, now);
  last_changed_ = now;
  return changed;
}

std::map<std::string, Value> global_functions(Workspace& workspace) {
  std::map<std::string, Value> functions;
  const auto add = [&](const std::string& name, Function::Body body) {
    functions.emplace(name, workspace.own(std::make_unique<Function>(workspace, name, body)));
  };
  add("range", range);
  add("dict", make_dict);
  add("namespace", make_namespace);
  add("raise_exception", raise_exception);
  add("strftime_now", strftime_now);
  return functions;
}

}  // namespace dmoerm::text::jinja
