// What stands behind `is`.
#include "dmoerm/text/jinja_filters.h"
#include "dmoerm/text/jinja_operators.h"
#include "dmoerm/text/python_text.h"

namespace dmoerm::text::jinja {
namespace {

using Test = bool (*)(const Value& value);
using TestOfTwo = bool (*)(const Value& value, const Value& other);

double remainder(const Value& value, const Value& divisor) {
  if (value.is_string()) raise("found 'str', expected a number");
  return binary("%", value, divisor).number();
}

const std::map<std::string, Test>& tests_of_one() {
  static const std::map<std::string, Test> tests = {
      {"boolean", [](const Value& v) { return v.is_bool(); }},
      {"callable", [](const Value& v) { return v.object() && v.object()->callable(); }},
      {"defined", [](const Value& v) { return !v.is_undefined(); }},
      {"even", [](const Value& v) { return remainder(v, Value(int64_t{2})) == 0; }},
      {"false", [](const Value& v) { return v.is_bool() && !v.truthy(); }},
      {"float", [](const Value& v) { return v.is_float(); }},
      {"integer", [](const Value& v) { return v.is_integer(); }},
      {"iterable",
       [](const Value& v) { return v.is_list() || v.is_dict() || v.is_string() || v.is_undefined(); }},
      {"lower", [](const Value& v) { return is_lower(to_string(v)); }},
      {"mapping", [](const Value& v) { return v.is_dict(); }},
      {"none", [](const Value& v) { return v.is_none(); }},
      {"number", [](const Value& v) { return v.is_number(); }},
      {"odd", [](const Value& v) { return remainder(v, Value(int64_t{2})) == 1; }},
      {"sequence",
       [](const Value& v) { return v.is_list() || v.is_dict() || v.is_string() || v.is_undefined(); }},
      {"string", [](const Value& v) { return v.is_string(); }},
      {"true", [](const Value& v) { return v.is_bool() && v.truthy(); }},
      {"undefined", [](const Value& v) { return v.is_undefined(); }},
      {"upper", [](const Value& v) { return is_upper(to_string(v)); }},
  };
  return tests;
}

const std::map<std::string, TestOfTwo>& tests_of_two() {
  static const std::map<std::string, TestOfTwo> tests = [] {
    std::map<std::string, TestOfTwo> all;
    for (const char* name : {"==", "eq", "equalto"})
      all[name] = [](const Value& a, const Value& b) { return equal(a, b); };
    for (const char* name : {"!=", "ne"})
      all[name] = [](const Value& a, const Value& b) { return !equal(a, b); };
    for (const char* name : {"<", "lt", "lessthan"})
      all[name] = [](const Value& a, const Value& b) { return compare("<", a, b); };
    for (const char* name : {"<=", "le"})
      all[name] = [](const Value& a, const Value& b) { return compare("<=", a, b); };
    for (const char* name : {">", "gt", "greaterthan"})
      all[name] = [](const Value& a, const Value& b) { return compare(">", a, b); };
    for (const char* name : {">=", "ge"})
      all[name] = [](const Value& a, const Value& b) { return compare(">=", a, b); };
    all["in"] = [](const Value& a, const Value& b) { return contains(b, a); };
    all["sameas"] = [](const Value& a, const Value& b) { return a.same_object(b); };
    all["divisibleby"] = [](const Value& a, const Value& b) { return remainder(a, b) == 0; };
    return all;
  }();
  return tests;
}

}  // namespace

bool apply_test(Workspace& workspace, const std::string& name, const Value& input,
                const Arguments& arguments) {
  workspace.charge(32);
  if (const auto test = tests_of_one().find(name); test != tests_of_one().end()) {
    bind(name, arguments, {});
    return test->second(input);
  }
  const auto test = tests_of_two().find(name);
  if (test == tests_of_two().end()) raise_unsupported("the test \"{}\"", name);
  const Value other = bind(name, arguments, {"other"}, 1)[0];
  workspace.charge(input.weight() + other.weight());
  return test->second(input, other);
}

}  // namespace dmoerm::text::jinja
