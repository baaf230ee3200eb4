// Filters of lists and mappings.
#include <algorithm>
#include <set>

#include "dmoerm/text/jinja_filters.h"
#include "dmoerm/text/jinja_operators.h"
#include "dmoerm/text/python_text.h"

namespace dmoerm::text::jinja {
namespace {

// What an item is compared by: an attribute of it, text in small letters unless case counts.
Value sort_key(const Value& item, const Value& path, bool case_sensitive) {
  const bool whole = path.is_undefined() || path.is_none();
  Value key = whole ? item : attribute_path(item, path);
  return !case_sensitive && key.is_string() ? Value(to_lower(key.text())) : key;
}

Value first_filter(const FilterCall& call) {
  call.take({});
  const auto items = iterate(call.input);
  return items.empty() ? Value::undefined("No first item, sequence was empty.") : items.front();
}

Value last_filter(const FilterCall& call) {
  call.take({});
  const auto items = iterate(call.input);
  return items.empty() ? Value::undefined("No last item, sequence was empty.") : items.back();
}

Value join_filter(const FilterCall& call) {
  const auto arguments = call.take({"d", "attribute"});
  const std::string separator = to_string(arguments[0]);
  std::string text;
  bool first = true;
  for (const Value& item : iterate(call.input)) {
    if (!first) append(text, separator);
    const bool whole = arguments[1].is_undefined() || arguments[1].is_none();
    append(text, to_string(whole ? item : attribute_path(item, arguments[1])));
    first = false;
  }
  return text;
}

Value list_filter(const FilterCall& call) {
  call.take({});
  return Value::list(iterate(call.input));
}

Value items_filter(const FilterCall& call) {
  call.take({});
  std::vector<Value> pairs;
  if (!call.input.is_dict() && !call.input.is_undefined()) raise("Can only get item pairs from a mapping.");
  if (call.input.is_dict())
    for (const auto& [key, value] : call.input.dict().items) pairs.push_back(Value::tuple({key, value}));
  return Value::list(std::move(pairs));
}

Value dictsort_filter(const FilterCall& call) {
  const auto arguments = call.take({"case_sensitive", "by", "reverse"});
  if (!call.input.is_dict()) raise("dictsort: found '{}', expected a mapping", call.input.type_name());
  const std::string by = arguments[1].is_undefined() ? "key" : to_string(arguments[1]);
  if (by != "key" && by != "value") raise("dictsort: found by=\"{}\", expected key or value", by);
  std::vector<std::pair<Value, Value>> items;  // what is compared, the pair
  for (const auto& [key, value] : call.input.dict().items)
    items.emplace_back(sort_key(by == "key" ? key : value, Value(), arguments[0].truthy()),
                       Value::tuple({key, value}));
  const bool reverse = arguments[2].truthy();
  std::stable_sort(items.begin(), items.end(), [&](const auto& left, const auto& right) {
    return reverse ? less(right.first, left.first) : less(left.first, right.first);
  });
  std::vector<Value> sorted;
  for (const auto& [key, pair] : items) sorted.push_back(pair);
  return Value::list(std::move(sorted));
}

Value sort_filter(const FilterCall& call) {
  const auto arguments = call.take({"reverse", "case_sensitive", "attribute"});
  std::vector<std::pair<Value, Value>> items;
  for (const Value& item : iterate(call.input))
    items.emplace_back(sort_key(item, arguments[2], arguments[1].truthy()), item);
  const bool reverse = arguments[0].truthy();
  std::stable_sort(items.begin(), items.end(), [&](const auto& left, const auto& right) {
    return reverse ? less(right.first, left.first) : less(left.first, right.first);
  });
  std::vector<Value> sorted;
  for (const auto& [key, item] : items) sorted.push_back(item);
  return Value::list(std::move(sorted));
}

Value unique_filter(const FilterCall& call) {
  const auto arguments = call.take({"case_sensitive", "attribute"});
  std::set<std::string> seen;
  std::vector<Value> items;
  for (const Value& item : iterate(call.input))
    if (seen.insert(hash_key(sort_key(item, arguments[1], arguments[0].truthy()))).second)
      items.push_back(item);
  return Value::list(std::move(items));
}

Value reverse_filter(const FilterCall& call) {
  call.take({});
  if (call.input.is_string()) {
    std::string text;
    const auto characters = characters_of(call.input.text());
    for (auto c = characters.rbegin(); c != characters.rend(); ++c) text += *c;
    return text;
  }
  std::vector<Value> items = iterate(call.input);
  std::reverse(items.begin(), items.end());
  return Value::list(std::move(items));
}

Value extreme(const FilterCall& call, bool largest) {
  const auto arguments = call.take({"case_sensitive", "attribute"});
  const std::vector<Value> items = iterate(call.input);
  if (items.empty()) return Value::undefined("No aggregated item, sequence was empty.");
  size_t best = 0;
  for (size_t i = 1; i < items.size(); ++i) {
    const Value key = sort_key(items[i], arguments[1], arguments[0].truthy());
    const Value best_key = sort_key(items[best], arguments[1], arguments[0].truthy());
    if (largest ? less(best_key, key) : less(key, best_key)) best = i;
  }
  return items[best];
}

Value sum_filter(const FilterCall& call) {
  const auto arguments = call.take({"attribute", "start"});
  Value sum = arguments[1].is_undefined() ? Value(int64_t{0}) : arguments[1];
  const bool whole = arguments[0].is_undefined() || arguments[0].is_none();
  for (const Value& item : iterate(call.input)) {
    sum = binary("+", sum, whole ? item : attribute_path(item, arguments[0]));
    call.workspace.charge(sum.weight());
  }
  return sum;
}

// The first argument is the name of a filter or test, the others are its own.
Arguments without_first(const Arguments& arguments, size_t count) {
  Arguments rest = arguments;
  rest.positional.erase(rest.positional.begin(), rest.positional.begin() + static_cast<ptrdiff_t>(count));
  return rest;
}

Value map_filter(const FilterCall& call) {
  std::vector<Value> items;
  if (call.arguments.positional.empty()) {
    const auto arguments = call.take({"attribute", "default"});
    if (arguments[0].is_undefined()) raise("map needs a filter or an attribute");
    for (const Value& item : iterate(call.input)) {
      const Value value = attribute_path(item, arguments[0]);
      items.push_back(value.is_undefined() && !arguments[1].is_none() && !arguments[1].is_undefined()
                          ? arguments[1]
                          : value);
    }
  } else {
    const std::string name = to_string(call.arguments.positional[0]);
    const Arguments rest = without_first(call.arguments, 1);
    for (const Value& item : iterate(call.input))
      items.push_back(apply_filter(call.workspace, name, item, rest));
  }
  return Value::list(std::move(items));
}

// select, reject, selectattr, rejectattr
Value chosen(const FilterCall& call, bool by_attribute, bool keep) {
  const size_t own = by_attribute ? 1 : 0;
  if (call.arguments.positional.size() < own) raise("{} needs an attribute", call.name);
  const bool has_test = call.arguments.positional.size() > own;
  const std::string test = has_test ? to_string(call.arguments.positional[own]) : "";
  const Arguments rest = without_first(call.arguments, own + (has_test ? 1 : 0));
  std::vector<Value> items;
  for (const Value& item : iterate(call.input)) {
    const Value value = by_attribute ? attribute_path(item, call.arguments.positional[0]) : item;
    const bool holds = has_test ? apply_test(call.workspace, test, value, rest) : value.truthy();
    if (holds == keep) items.push_back(item);
  }
  return Value::list(std::move(items));
}

}  // namespace

const std::map<std::string, Filter>& list_filters() {
  static const std::map<std::string, Filter> filters = {
      {"dictsort", dictsort_filter},
      {"first", first_filter},
      {"items", items_filter},
      {"join", join_filter},
      {"last", last_filter},
      {"list", list_filter},
      {"map", map_filter},
      {"max", [](const FilterCall& call) { return extreme(call, true); }},
      {"min", [](const FilterCall& call) { return extreme(call, false); }},
      {"reject", [](const FilterCall& call) { return chosen(call, false, false); }},
      {"rejectattr", [](const FilterCall& call) { return chosen(call, true, false); }},
      {"reverse", reverse_filter},
      {"select", [](const FilterCall& call) { return chosen(call, false, true); }},
      {"selectattr", [](const FilterCall& call) { return chosen(call, true, true); }},
      {"sort", sort_filter},
      {"sum", sum_filter},
      {"unique", unique_filter},
  };
  return filters;
}

}  // namespace dmoerm::text::jinja
