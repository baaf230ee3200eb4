#include "dmoerm/text/jinja_value.h"

#include <algorithm>
#include <cmath>

#include "dmoerm/text/utf8.h"

namespace dmoerm::text::jinja {
namespace {

constexpr size_t kValueWeight = 32;

void check_size(size_t weight, int depth) {
  if (weight > kMaxText) raise("a list or mapping grows beyond {} bytes", kMaxText);
  if (depth > kMaxValueDepth) raise("lists and mappings lie more than {} deep in each other", kMaxValueDepth);
}

std::shared_ptr<const List> make_list(std::vector<Value> items, bool is_tuple) {
  List list{std::move(items), is_tuple, kValueWeight, 1};
  for (const Value& item : list.items) {
    list.weight += item.weight();
    list.depth = std::max(list.depth, item.depth() + 1);
    check_size(list.weight, list.depth);
  }
  return std::make_shared<const List>(std::move(list));
}

bool equal_lists(const List& left, const List& right) {
  if (left.is_tuple != right.is_tuple || left.items.size() != right.items.size()) return false;
  for (size_t i = 0; i < left.items.size(); ++i)
    if (!equal(left.items[i], right.items[i])) return false;
  return true;
}

bool equal_dicts(const Dict& left, const Dict& right) {
  if (left.items.size() != right.items.size()) return false;
  for (const auto& [key, value] : left.items) {
    const Value* other = right.find(key);
    if (!other || !equal(value, *other)) return false;
  }
  return true;
}

bool less_lists(const List& left, const List& right) {
  for (size_t i = 0; i < left.items.size() && i < right.items.size(); ++i)
    if (!equal(left.items[i], right.items[i])) return less(left.items[i], right.items[i]);
  return left.items.size() < right.items.size();
}

}  // namespace

std::optional<Value> Object::get(const std::string&) const {
  return std::nullopt;
}

Value Object::call(const Arguments&) {
  raise("{} cannot be called", describe());
}

Value Object::call_method(const std::string& name, const Arguments& arguments) {
  const std::optional<Value> method = get(name);
  if (!method || !method->object()) raise("{} has no method \"{}\"", describe(), name);
  return method->object()->call(arguments);
}

Value Value::undefined(std::string why) {
  Value value;
  value.data_ = Undefined{std::make_shared<const std::string>(std::move(why))};
  return value;
}

Value Value::list(std::vector<Value> items) {
  Value value;
  value.data_ = make_list(std::move(items), false);
  return value;
}

Value Value::tuple(std::vector<Value> items) {
  Value value;
  value.data_ = make_list(std::move(items), true);
  return value;
}

Value Value::dict(Dict dict) {
  dict.weight = kValueWeight;
  for (const auto& [key, item] : dict.items) {
    dict.weight += key.weight() + item.weight();
    dict.depth = std::max({dict.depth, key.depth() + 1, item.depth() + 1});
    check_size(dict.weight, dict.depth);
  }
  Value value;
  value.data_ = std::make_shared<const Dict>(std::move(dict));
  return value;
}

Object* Value::object() const {
  const auto object = std::get_if<Object*>(&data_);
  return object ? *object : nullptr;
}

std::optional<int64_t> Value::integer() const {
  if (is_bool()) return std::get<bool>(data_) ? 1 : 0;
  if (is_integer()) return std::get<int64_t>(data_);
  return std::nullopt;
}

double Value::number() const {
  return is_float() ? std::get<double>(data_) : static_cast<double>(*integer());
}

bool Value::truthy() const {
  if (is_number()) return number() != 0;
  if (is_string()) return !text().empty();
  if (is_list()) return !list().items.empty();
  if (is_dict()) return !dict().items.empty();
  return object() != nullptr;
}

std::string Value::type_name() const {
  if (is_none()) return "NoneType";
  if (is_undefined()) return "Undefined";
  if (is_bool()) return "bool";
  if (is_integer()) return "int";
  if (is_float()) return "float";
  if (is_string()) return "str";
  if (is_list()) return list().is_tuple ? "tuple" : "list";
  return is_dict() ? "dict" : object()->describe();
}

size_t Value::weight() const {
  if (is_string()) return kValueWeight + text().size();
  if (is_list()) return list().weight;
  return is_dict() ? dict().weight : kValueWeight;
}

int Value::depth() const {
  if (is_list()) return list().depth;
  return is_dict() ? dict().depth : 0;
}

bool Value::same_object(const Value& other) const {
  if (data_.index() != other.data_.index()) return false;
  if (is_list()) return &list() == &other.list();
  if (is_dict()) return &dict() == &other.dict();
  return equal(*this, other);
}

void Dict::set(const Value& key, Value value) {
  const auto [place, fresh] = places.try_emplace(hash_key(key), items.size());
  if (fresh) {
    items.emplace_back(key, std::move(value));
  } else {
    items[place->second].second = std::move(value);
  }
}

const Value* Dict::find(const Value& key) const {
  const auto place = places.find(hash_key(key));
  return place == places.end() ? nullptr : &items[place->second].second;
}

std::string hash_key(const Value& key) {
  if (key.is_string()) return "s" + key.text();
  if (key.integer()) return fmt::format("n{}", *key.integer());
  if (key.is_float()) {
    const double number = key.number();
    const bool whole = number == std::floor(number) && std::abs(number) < 9e18;
    return whole ? fmt::format("n{}", static_cast<int64_t>(number)) : fmt::format("n{}", number);
  }
  if (key.is_none()) return "none";
  if (key.is_list() && key.list().is_tuple) {
    std::string hash = "t";
    for (const Value& item : key.list().items) {
      const std::string part = hash_key(item);
      append(hash, fmt::format("{}:{}", part.size(), part));
    }
    return hash;
  }
  raise("unhashable type: '{}'", key.type_name());
}

bool equal(const Value& left, const Value& right) {
  if (left.integer() && right.integer()) return *left.integer() == *right.integer();
  if (left.is_number() && right.is_number()) return left.number() == right.number();
  if (left.is_string() && right.is_string()) return left.text() == right.text();
  if (left.is_list() && right.is_list()) return equal_lists(left.list(), right.list());
  if (left.is_dict() && right.is_dict()) return equal_dicts(left.dict(), right.dict());
  if (left.object() || right.object()) return left.object() == right.object();
  return (left.is_none() && right.is_none()) || (left.is_undefined() && right.is_undefined());
}

bool less(const Value& left, const Value& right) {
  for (const Value* value : {&left, &right})
    if (value->is_undefined()) raise("{}", value->why_undefined());
  if (left.integer() && right.integer()) return *left.integer() < *right.integer();
  if (left.is_number() && right.is_number()) return left.number() < right.number();
  if (left.is_string() && right.is_string()) return left.text() < right.text();
  if (left.is_list() && right.is_list() && left.list().is_tuple == right.list().is_tuple)
    return less_lists(left.list(), right.list());
  raise("'{}' and '{}' have no order", left.type_name(), right.type_name());
}

std::vector<Value> iterate(const Value& value) {
  std::vector<Value> items;
  if (value.is_list()) return value.list().items;
  if (value.is_dict()) {
    for (const auto& [key, item] : value.dict().items) items.push_back(key);
  } else if (value.is_string()) {
    const std::string& text = value.text();
    if (text.size() > kMaxText / 32) raise("a text of {} bytes is too long to iterate over", text.size());
    for (size_t at = 0; at < text.size();) {
      const size_t begin = at;
      next_character(text, at);
      items.emplace_back(text.substr(begin, at - begin));
    }
  } else if (!value.is_undefined()) {
    raise("'{}' object is not iterable", value.type_name());
  }
  return items;
}

void append(std::string& text, std::string_view part) {
  if (text.size() + part.size() > kMaxText) raise("a text grows beyond {} bytes", kMaxText);
  text += part;
}

}  // namespace dmoerm::text::jinja
