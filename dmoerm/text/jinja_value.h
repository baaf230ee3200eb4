// The values of a template: Python's, as far as templates can tell.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "dmoerm/text/jinja_error.h"

namespace dmoerm::text::jinja {

class Value;
struct List;
struct Dict;

// Positional arguments, then those by name.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// What a template can change or call: namespaces, loops, macros, functions. A Workspace owns them, so values
// only point to them.
class Object {
 public:
  virtual ~Object() = default;
  virtual std::string describe() const = 0;                         // as Python's repr()
  virtual std::optional<Value> get(const std::string& name) const;  // an attribute
  virtual bool callable() const { return false; }
  virtual Value call(const Arguments& arguments);
  virtual Value call_method(const std::string& name, const Arguments& arguments);
};

class Value {
 public:
  Value() = default;  // None
  template <std::same_as<bool> Bool>
  Value(Bool value) : data_(value) {}
  Value(int64_t value) : data_(value) {}
  Value(double value) : data_(value) {}
  Value(std::string text) : data_(std::make_shared<const std::string>(std::move(text))) {}
  Value(std::string_view text) : Value(std::string(text)) {}
  Value(const char* text) : Value(std::string(text)) {}
  Value(Object* object) : data_(object) {}

  // It prints as nothing; what else is done with it is an error that says `why`.
  static Value undefined(std::string why);
  // Error when the result would be too large, or too deep.
  static Value list(std::vector<Value> items);
  static Value tuple(std::vector<Value> items);
  static Value dict(Dict dict);

  bool is_none() const { return std::holds_alternative<std::monostate>(data_); }
  bool is_undefined() const { return std::holds_alternative<Undefined>(data_); }
  bool is_bool() const { return std::holds_alternative<bool>(data_); }
  bool is_integer() const { return std::holds_alternative<int64_t>(data_); }  // a bool is none
  bool is_float() const { return std::holds_alternative<double>(data_); }
  bool is_number() const { return is_bool() || is_integer() || is_float(); }
  bool is_string() const { return std::holds_alternative<Text>(data_); }
  bool is_list() const { return std::holds_alternative<ListPointer>(data_); }  // or a tuple
  bool is_dict() const { return std::holds_alternative<DictPointer>(data_); }

  const std::string& text() const { return *std::get<Text>(data_); }
  const List& list() const { return *std::get<ListPointer>(data_); }
  const Dict& dict() const { return *std::get<DictPointer>(data_); }
  const std::string& why_undefined() const { return *std::get<Undefined>(data_).why; }
  Object* object() const;                  // nullptr for any other value
  std::optional<int64_t> integer() const;  // of an integer or a bool
  double number() const;                   // of any number

  bool truthy() const;
  std::string type_name() const;               // Python's
  size_t weight() const;                       // about how many bytes it takes to hold or to print it
  int depth() const;                           // of lists and mappings
  bool same_object(const Value& other) const;  // Python's `is`, equal scalars being one object

 private:
  struct Undefined {
    std::shared_ptr<const std::string> why;
  };
  using Text = std::shared_ptr<const std::string>;
  using ListPointer = std::shared_ptr<const List>;
  using DictPointer = std::shared_ptr<const Dict>;
  std::variant<std::monostate, Undefined, bool, int64_t, double, Text, ListPointer, DictPointer, Object*>
      data_;
};

struct List {
  std::vector<Value> items;
  bool is_tuple = false;
  size_t weight = 0;
  int depth = 1;
};

// Keeps the order of insertion. Keys are strings, numbers, None.
struct Dict {
  void set(const Value& key, Value value);  // Error for a key that cannot be hashed
  const Value* find(const Value& key) const;

  std::vector<std::pair<Value, Value>> items;
  std::map<std::string, size_t> places;  // of keys in items, by hash_key()
  size_t weight = 0;
  int depth = 1;
};

// Equal for equal keys, and only for them; Error for lists and mappings.
std::string hash_key(const Value& key);

std::string to_string(const Value& value);                                               // Python's str()
std::string to_repr(const Value& value);                                                 // Python's repr()
std::string to_json(const Value& value, std::optional<int64_t> indent, bool sort_keys);  // json.dumps()

bool equal(const Value& left, const Value& right);
bool less(const Value& left, const Value& right);  // Error for values without an order

// The items of a list, the keys of a mapping, the characters of a string, nothing of what is undefined; Error
// for what cannot be iterated.
std::vector<Value> iterate(const Value& value);

// Appends, or fails when the text becomes longer than kMaxText.
void append(std::string& text, std::string_view part);

}  // namespace dmoerm::text::jinja
