#include "dmoerm/text/jinja_operators.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "dmoerm/text/python_text.h"

namespace dmoerm::text::jinja {
namespace {

[[noreturn]] void refuse(const std::string& symbol, const Value& left, const Value& right) {
  for (const Value* value : {&left, &right})
    if (value->is_undefined()) raise("{}", value->why_undefined());
  raise("unsupported operand types for {}: '{}' and '{}'", symbol, left.type_name(), right.type_name());
}

Value integer_power(int64_t base, int64_t exponent) {
  int64_t result = 1;
  for (; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) && __builtin_mul_overflow(result, base, &result))
      raise("a number grows too large in **");
    if (exponent > 1 && __builtin_mul_overflow(base, base, &base)) raise("a number grows too large in **");
  }
  return result;
}

Value integer_arithmetic(const std::string& symbol, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  if (symbol == "+") {
    overflow = __builtin_add_overflow(a, b, &result);
  } else if (symbol == "-") {
    overflow = __builtin_sub_overflow(a, b, &result);
  } else if (symbol == "*") {
    overflow = __builtin_mul_overflow(a, b, &result);
  } else if (symbol == "**") {
    return b < 0 ? Value(std::pow(static_cast<double>(a), static_cast<double>(b))) : integer_power(a, b);
  } else {
    if (b == 0) raise("division by zero");
    if (symbol == "/") return static_cast<double>(a) / static_cast<double>(b);
    overflow = b == -1 && a == std::numeric_limits<int64_t>::min();
    if (!overflow) {
      const int64_t rest = a % b;
      const bool rounds_up = rest != 0 && (rest < 0) != (b < 0);  // Python rounds down, C++ towards zero
      result = symbol == "%" ? rest + (rounds_up ? b : 0) : a / b - (rounds_up ? 1 : 0);
    }
  }
  if (overflow) raise("a number grows too large in {}", symbol);
  return result;
}

Value float_arithmetic(const std::string& symbol, double a, double b) {
  if (symbol == "+") return a + b;
  if (symbol == "-") return a - b;
  if (symbol == "*") return a * b;
  if (symbol == "**") return std::pow(a, b);
  if (b == 0) raise("division by zero");
  if (symbol == "/") return a / b;
  const double rest = std::fmod(a, b), modulo = rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
  return symbol == "%" ? modulo : std::round((a - modulo) / b);
}

Value repeated(const Value& value, int64_t count) {
  if (count < 0) count = 0;
  if (static_cast<size_t>(count) >
      kMaxText / (value.is_string() ? std::max<size_t>(value.text().size(), 1) : value.weight()))
    raise("a text or list repeated {} times grows beyond {} bytes", count, kMaxText);
  if (value.is_string()) {
    std::string text;
    for (int64_t i = 0; i < count; ++i) text += value.text();
    return text;
  }
  std::vector<Value> items;
  for (int64_t i = 0; i < count; ++i)
    items.insert(items.end(), value.list().items.begin(), value.list().items.end());
  return value.list().is_tuple ? Value::tuple(std::move(items)) : Value::list(std::move(items));
}

Value joined(const Value& left, const Value& right) {
  if (left.is_string()) {
    std::string text = left.text();
    append(text, right.text());
    return text;
  }
  std::vector<Value> items = left.list().items;
  items.insert(items.end(), right.list().items.begin(), right.list().items.end());
  return left.list().is_tuple ? Value::tuple(std::move(items)) : Value::list(std::move(items));
}

bool are_joinable(const Value& left, const Value& right) {
  return (left.is_string() && right.is_string()) ||
         (left.is_list() && right.is_list() && left.list().is_tuple == right.list().is_tuple);
}

const Value* item_at(const List& list, int64_t index) {
  const auto size = static_cast<int64_t>(list.items.size());
  if (index < 0) index += size;
  return index >= 0 && index < size ? &list.items[index] : nullptr;
}

std::optional<Value> character_at(const std::string& text, int64_t index) {
  if (index < 0) index += static_cast<int64_t>(num_characters(text));
  if (index < 0) return std::nullopt;
  const size_t begin = byte_of_character(text, index);
  if (begin == text.size()) return std::nullopt;
  const std::string_view rest = std::string_view(text).substr(begin);
  return Value(rest.substr(0, byte_of_character(rest, 1)));
}

std::string object_name(const Value& object) {
  return "'" + object.type_name() + (object.object() ? "'" : " object'");
}

int64_t slice_bound(const Value& value, int64_t fallback, int64_t low, int64_t size, int64_t high) {
  if (value.is_none()) return fallback;
  if (!value.integer()) raise("slice indices must be integers or None, found '{}'", value.type_name());
  int64_t bound = *value.integer();
  if (bound < 0) bound += size;
  return std::clamp(bound, low, high);
}

// The numbers of the items that a slice takes, by Python's rules.
std::vector<size_t> slice_places(int64_t size, const Value& start, const Value& stop,
                                 const Value& step_value) {
  const int64_t step = step_value.is_none() ? 1 : step_value.integer().value_or(0);
  if (step == 0) raise("slice step must be an integer other than zero, found {}", to_repr(step_value));
  const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
  const int64_t first = slice_bound(start, step > 0 ? low : high, low, size, high);
  const int64_t last = slice_bound(stop, step > 0 ? high : low, low, size, high);
  std::vector<size_t> places;
  for (int64_t i = first; step > 0 ? i < last : i > last;) {
    places.push_back(static_cast<size_t>(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return places;
}

Value text_slice(const std::string& text, const Value& start, const Value& stop, const Value& step) {
  const auto size = static_cast<int64_t>(num_characters(text));
  if (step.is_none() || step.integer() == 1) {
    const int64_t first = slice_bound(start, 0, 0, size, size), last = slice_bound(stop, size, 0, size, size);
    if (first >= last) return "";
    const std::string_view rest = std::string_view(text).substr(byte_of_character(text, first));
    return rest.substr(0, byte_of_character(rest, last - first));
  }
  const std::vector<Value> characters = iterate(Value(text));
  std::string result;
  for (const size_t i : slice_places(size, start, stop, step)) result += characters[i].text();
  return result;
}

}  // namespace

Value unary(const std::string& symbol, const Value& operand) {
  if (operand.is_undefined()) raise("{}", operand.why_undefined());
  if (!operand.is_number()) raise("bad operand type for unary {}: '{}'", symbol, operand.type_name());
  if (operand.is_float()) return symbol == "-" ? -operand.number() : operand.number();
  if (symbol == "+") return *operand.integer();
  return integer_arithmetic("-", 0, *operand.integer());
}

Value binary(const std::string& symbol, const Value& left, const Value& right) {
  if (left.integer() && right.integer()) return integer_arithmetic(symbol, *left.integer(), *right.integer());
  if (left.is_number() && right.is_number()) return float_arithmetic(symbol, left.number(), right.number());
  if (symbol == "+" && are_joinable(left, right)) return joined(left, right);
  if (symbol == "*") {
    if (right.integer() && (left.is_string() || left.is_list())) return repeated(left, *right.integer());
    if (left.integer() && (right.is_string() || right.is_list())) return repeated(right, *left.integer());
  }
  if (symbol == "%" && left.is_string() && !right.is_undefined()) {
    const bool many = right.is_list() && right.list().is_tuple;
    return format_printf(left.text(), many ? right.list().items : std::vector<Value>{right});
  }
  refuse(symbol, left, right);
}

bool contains(const Value& container, const Value& item) {
  if (container.is_string()) {
    if (item.is_undefined()) raise("{}", item.why_undefined());
    if (!item.is_string()) raise("'in <string>' requires string as left operand, not {}", item.type_name());
    return find_text(container.text(), item.text()) != std::string::npos;
  }
  if (container.is_dict()) return container.dict().find(item) != nullptr;
  if (!container.is_list() && !container.is_undefined())
    raise("argument of type '{}' is not iterable", container.type_name());
  if (container.is_list())
    for (const Value& other : container.list().items)
      if (equal(other, item)) return true;
  return false;
}

bool compare(const std::string& symbol, const Value& left, const Value& right) {
  if (symbol == "==") return equal(left, right);
  if (symbol == "!=") return !equal(left, right);
  if (symbol == "in") return contains(right, left);
  if (symbol == "not in") return !contains(right, left);
  if (symbol == "<") return less(left, right);
  if (symbol == ">") return less(right, left);
  const bool nan =
      (left.is_float() && std::isnan(left.number())) || (right.is_float() && std::isnan(right.number()));
  if (nan) return false;
  return symbol == "<=" ? !less(right, left) : !less(left, right);
}

Value attribute(const Value& object, const std::string& name) {
  if (object.is_undefined()) raise("{}", object.why_undefined());
  std::optional<Value> found;
  if (object.object()) {
    found = object.object()->get(name);
  } else if (object.is_dict()) {
    if (const Value* item = object.dict().find(Value(name))) found = *item;
  }
  return found ? *found : Value::undefined(object_name(object) + " has no attribute '" + name + "'");
}

Value subscript(const Value& object, const Value& index) {
  if (object.is_undefined()) raise("{}", object.why_undefined());
  std::optional<Value> found;
  if (object.is_dict()) {
    if (!index.is_undefined() && !index.is_list() && !index.is_dict())
      if (const Value* item = object.dict().find(index)) found = *item;
  } else if (object.is_list() && index.integer()) {
    if (const Value* item = item_at(object.list(), *index.integer())) found = *item;
  } else if (object.is_string() && index.integer()) {
    found = character_at(object.text(), *index.integer());
  } else if (index.is_string()) {
    return attribute(object, index.text());
  }
  return found ? *found : Value::undefined(object_name(object) + " has no element " + to_repr(index));
}

Value slice(const Value& object, const Value& start, const Value& stop, const Value& step) {
  if (object.is_undefined()) raise("{}", object.why_undefined());
  if (object.is_list()) {
    const List& list = object.list();
    std::vector<Value> items;
    for (const size_t i : slice_places(list.items.size(), start, stop, step)) items.push_back(list.items[i]);
    return list.is_tuple ? Value::tuple(std::move(items)) : Value::list(std::move(items));
  }
  if (!object.is_string()) raise("'{}' object has no slices", object.type_name());
  return text_slice(object.text(), start, stop, step);
}

Value attribute_path(const Value& object, const Value& path) {
  if (path.integer()) return subscript(object, path);
  if (!path.is_string()) raise("found an attribute of type '{}', expected a name", path.type_name());
  Value value = object;
  for (const std::string_view part : split_text(path.text(), ".")) {
    int64_t number = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
    const bool is_number = error == std::errc() && end == part.data() + part.size() && number >= 0;
    value = subscript(value, is_number ? Value(number) : Value(part));
  }
  return value;
}

}  // namespace dmoerm::text::jinja
