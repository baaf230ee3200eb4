#include "dmoerm/text/jinja_methods.h"

#include <algorithm>

#include "dmoerm/text/jinja_operators.h"
#include "dmoerm/text/python_text.h"

namespace dmoerm::text::jinja {
namespace {

// A call of a method, and what it was called on.
struct Call {
  const Value& self;
  const std::string& name;
  const Arguments& arguments;

  const std::string& text() const { return self.text(); }
  std::vector<Value> take(const std::vector<std::string>& names, size_t required = 0) const {
    return bind(name, arguments, names, required);
  }
  const std::string& string(const Value& value) const {
    if (!value.is_string()) raise("{}: found '{}', expected a str", name, value.type_name());
    return value.text();
  }
};

Value texts(const std::vector<std::string_view>& parts, bool is_tuple = false) {
  if (parts.size() > kMaxText / 32) raise("a text splits into {} parts, too many", parts.size());
  std::vector<Value> items(parts.begin(), parts.end());
  return is_tuple ? Value::tuple(std::move(items)) : Value::list(std::move(items));
}

Value strip_method(const Call& call, Side side) {
  const Value characters = call.take({"chars"})[0];
  if (characters.is_undefined() || characters.is_none()) return strip(call.text(), side);
  return strip(call.text(), call.string(characters), side);
}

Value split_method(const Call& call, bool from_right) {
  const auto arguments = call.take({"sep", "maxsplit"});
  const int64_t limit = integer_or(call.name, arguments[1], -1);
  if (arguments[0].is_undefined() || arguments[0].is_none())
    return texts(from_right ? split_space_from_right(call.text(), limit) : split_space(call.text(), limit));
  const std::string& separator = call.string(arguments[0]);
  if (separator.empty()) raise("{}: the separator is empty", call.name);
  return texts(from_right ? split_text_from_right(call.text(), separator, limit)
                          : split_text(call.text(), separator, limit));
}

Value partition(const Call& call, bool from_right) {
  const std::string_view text = call.text();
  const Value argument = call.take({"sep"}, 1)[0];
  const std::string& separator = call.string(argument);
  if (separator.empty()) raise("{}: the separator is empty", call.name);
  const size_t at = from_right ? text.rfind(separator) : find_text(text, separator);
  if (at == std::string_view::npos)
    return texts(from_right ? std::vector<std::string_view>{"", "", text}
                            : std::vector<std::string_view>{text, "", ""},
                 true);
  return texts({text.substr(0, at), separator, text.substr(at + separator.size())}, true);
}

// The part of the text that the arguments start and end choose, as a slice does.
std::string part_of(const Call& call, const Value& start, const Value& end) {
  const auto bound = [](const Value& value) { return value.is_undefined() ? Value() : value; };
  return slice(call.self, bound(start), bound(end), Value()).text();
}

bool has_affix(const std::string& text, const std::string& affix, bool at_start) {
  return at_start ? text.starts_with(affix) : text.ends_with(affix);
}

Value affix_method(const Call& call, bool at_start) {
  const auto arguments = call.take({at_start ? "prefix" : "suffix", "start", "end"}, 1);
  const std::string text = part_of(call, arguments[1], arguments[2]);
  if (!arguments[0].is_list()) return has_affix(text, call.string(arguments[0]), at_start);
  const auto& affixes = arguments[0].list().items;
  return std::any_of(affixes.begin(), affixes.end(),
                     [&](const Value& affix) { return has_affix(text, call.string(affix), at_start); });
}

Value find_method(const Call& call, bool from_right, bool must_be_there) {
  const auto arguments = call.take({"sub", "start", "end"}, 1);
  const std::string& part = call.string(arguments[0]);
  const std::string text = part_of(call, arguments[1], arguments[2]);
  const size_t at = from_right ? text.rfind(part) : find_text(text, part);
  if (at == std::string::npos) {
    if (must_be_there) raise("{}: substring not found", call.name);
    return int64_t{-1};
  }
  const auto skipped = arguments[1].is_undefined() ? 0
                                                   : num_characters(call.text()) -
                                                         num_characters(part_of(call, arguments[1], Value()));
  return static_cast<int64_t>(skipped + num_characters(std::string_view(text).substr(0, at)));
}

Value count_method(const Call& call) {
  const Value argument = call.take({"sub"}, 1)[0];
  const std::string& part = call.string(argument);
  if (part.empty()) return static_cast<int64_t>(num_characters(call.text()) + 1);
  return static_cast<int64_t>(split_text(call.text(), part).size() - 1);
}

Value replace_method(const Call& call) {
  const auto arguments = call.take({"old", "new", "count"}, 2);
  return replaced(call.text(), call.string(arguments[0]), call.string(arguments[1]),
                  integer_or(call.name, arguments[2], -1));
}

Value join_method(const Call& call) {
  std::string text;
  const Value argument = call.take({"iterable"}, 1)[0];
  const std::vector<Value> items = iterate(argument);
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) append(text, call.text());
    append(text, call.string(items[i]));
  }
  return text;
}

Value remove_affix(const Call& call, bool at_start) {
  const Value argument = call.take({at_start ? "prefix" : "suffix"}, 1)[0];
  const std::string& affix = call.string(argument);
  if (!has_affix(call.text(), affix, at_start)) return call.self;
  const size_t rest = call.text().size() - affix.size();
  return at_start ? call.text().substr(affix.size()) : call.text().substr(0, rest);
}

// str.isdigit() and the like: not empty, and all characters are of the kind.
template <typename IsKind>
Value all_are(const Call& call, IsKind is_kind) {
  call.take({});
  const auto& text = call.text();
  return !text.empty() && std::all_of(text.begin(), text.end(), is_kind);
}

Value case_method(const Call& call, std::string (*map)(std::string_view)) {
  call.take({});
  return map(call.text());
}

std::optional<Value> string_method(const Call& call) {
  const std::string& name = call.name;
  if (name == "strip") return strip_method(call, Side::Both);
  if (name == "lstrip") return strip_method(call, Side::Left);
  if (name == "rstrip") return strip_method(call, Side::Right);
  if (name == "split" || name == "rsplit") return split_method(call, name == "rsplit");
  if (name == "splitlines") return texts(split_lines(call.text(), call.take({"keepends"})[0].truthy()));
  if (name == "partition" || name == "rpartition") return partition(call, name == "rpartition");
  if (name == "startswith" || name == "endswith") return affix_method(call, name == "startswith");
  if (name == "find" || name == "rfind") return find_method(call, name == "rfind", false);
  if (name == "index" || name == "rindex") return find_method(call, name == "rindex", true);
  if (name == "count") return count_method(call);
  if (name == "replace") return replace_method(call);
  if (name == "join") return join_method(call);
  if (name == "removeprefix" || name == "removesuffix") return remove_affix(call, name == "removeprefix");
  if (name == "upper") return case_method(call, to_upper);
  if (name == "lower") return case_method(call, to_lower);
  if (name == "capitalize") return case_method(call, capitalized);
  if (name == "title") return case_method(call, titled);
  if (name == "isupper") return is_upper(call.text());
  if (name == "islower") return is_lower(call.text());
  if (name == "isspace") return !call.text().empty() && strip(call.text()).empty();
  if (name == "isdigit" || name == "isdecimal" || name == "isnumeric")
    return all_are(call, [](char c) { return c >= '0' && c <= '9'; });
  return std::nullopt;
}

std::optional<Value> list_method(const Call& call) {
  if (call.name != "index" && call.name != "count") return std::nullopt;
  const Value item = call.take({"value"}, 1)[0];
  const auto& items = call.self.list().items;
  const auto is_item = [&](const Value& other) { return equal(other, item); };
  if (call.name == "count") return static_cast<int64_t>(std::count_if(items.begin(), items.end(), is_item));
  const auto found = std::find_if(items.begin(), items.end(), is_item);
  if (found == items.end()) raise("index: {} is not in the list", to_repr(item));
  return static_cast<int64_t>(found - items.begin());
}

std::optional<Value> dict_method(const Call& call) {
  const Dict& dict = call.self.dict();
  if (call.name == "get") {
    const auto arguments = call.take({"key", "default"}, 1);
    if (const Value* item = dict.find(arguments[0])) return *item;
    return call.arguments.positional.size() + call.arguments.named.size() > 1 ? arguments[1] : Value();
  }
  if (call.name != "keys" && call.name != "values" && call.name != "items" && call.name != "copy")
    return std::nullopt;
  call.take({});
  if (call.name == "copy") return call.self;
  std::vector<Value> items;
  for (const auto& [key, value] : dict.items)
    items.push_back(call.name == "keys" ? key : call.name == "values" ? value : Value::tuple({key, value}));
  return Value::list(std::move(items));
}

}  // namespace

std::string replaced(const std::string& text, const std::string& old, const std::string& other,
                     int64_t count) {
  std::string result;
  size_t begin = 0;
  if (old.empty()) {  // between all characters, and at both ends
    for (const std::string_view character : characters_of(text)) {
      if (count >= 0 && count-- == 0) return result + text.substr(begin);
      append(result, other);
      append(result, character);
      begin += character.size();
    }
    if (count != 0) append(result, other);
    return result;
  }
  for (; count != 0; --count) {
    const size_t at = find_text(text, old, begin);
    if (at == std::string::npos) break;
    append(result, std::string_view(text).substr(begin, at - begin));
    append(result, other);
    begin = at + old.size();
  }
  append(result, std::string_view(text).substr(begin));
  return result;
}

Value call_method(Workspace& workspace, const Value& object, const std::string& name,
                  const Arguments& arguments) {
  if (object.is_undefined()) raise("{}", object.why_undefined());
  workspace.charge(object.weight());
  for (const Value& argument : arguments.positional) workspace.charge(argument.weight());
  const Call call{object, name, arguments};
  std::optional<Value> result;
  if (object.is_string()) result = string_method(call);
  if (object.is_list()) result = list_method(call);
  if (object.is_dict()) result = dict_method(call);
  if (!result) raise_unsupported("the method \"{}\" of '{}'", name, object.type_name());
  return workspace.charged(*result);
}

}  // namespace dmoerm::text::jinja
