// Values as text: Python's str() and repr(), and json.dumps().
#include <algorithm>
#include <cmath>

#include <utf8proc.h>

#include "dmoerm/text/jinja_value.h"
#include "dmoerm/text/utf8.h"

namespace dmoerm::text::jinja {
namespace {

std::string float_repr(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
  std::string text = fmt::format("{}", number);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

bool is_printable(char32_t c) {
  if (c == ' ') return true;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return false;
    default:
      return true;
  }
}

std::string escaped(char32_t c) {
  if (c < 0x100) return fmt::format("\\x{:02x}", static_cast<uint32_t>(c));
  if (c < 0x10000) return fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
  return fmt::format("\\U{:08x}", static_cast<uint32_t>(c));
}

std::string string_repr(const std::string& text) {
  const bool has_single = text.find('\'') != std::string::npos;
  const char quote = has_single && text.find('"') == std::string::npos ? '"' : '\'';
  std::string result(1, quote);
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const char32_t c = next_character(text, at);
    if (c == '\n') {
      result += "\\n";
    } else if (c == '\r') {
      result += "\\r";
    } else if (c == '\t') {
      result += "\\t";
    } else if (c == '\\' || c == static_cast<unsigned char>(quote)) {
      result += '\\';
      result += static_cast<char>(c);
    } else if (is_printable(c)) {
      result += text.substr(begin, at - begin);
    } else {
      result += escaped(c);
    }
  }
  return result + quote;
}

std::string list_repr(const List& list) {
  std::string text(list.is_tuple ? "(" : "[");
  for (size_t i = 0; i < list.items.size(); ++i) {
    if (i > 0) append(text, ", ");
    append(text, to_repr(list.items[i]));
  }
  if (list.is_tuple && list.items.size() == 1) text += ',';
  return text + (list.is_tuple ? ")" : "]");
}

std::string dict_repr(const Dict& dict) {
  std::string text = "{";
  for (const auto& [key, value] : dict.items) {
    if (text.size() > 1) append(text, ", ");
    append(text, to_repr(key) + ": " + to_repr(value));
  }
  return text + "}";
}

std::string json_string(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    const auto found = std::string_view("\"\\\n\r\t\f\b").find(c);
    if (found != std::string_view::npos) {
      result += '\\';
      result += "\"\\nrtfb"[found];
    } else if (static_cast<unsigned char>(c) < 0x20) {
      result += fmt::format("\\u{:04x}", static_cast<int>(c));
    } else {
      result += c;
    }
  }
  return result + "\"";
}

// json.dumps(value, ensure_ascii=False, …)
class JsonWriter {
 public:
  JsonWriter(std::optional<int64_t> indent, bool sort_keys) : indent_(indent), sort_keys_(sort_keys) {}

  void write(const Value& value) {
    if (value.is_string()) {
      append(text, json_string(value.text()));
    } else if (value.is_list()) {
      write_list(value.list());
    } else if (value.is_dict()) {
      write_dict(value.dict());
    } else if (const auto scalar = scalar_text(value)) {
      append(text, *scalar);
    } else {
      raise("Object of type {} is not JSON serializable", value.type_name());
    }
  }

  std::string text;

 private:
  static std::optional<std::string> scalar_text(const Value& value) {
    if (value.is_none()) return "null";
    if (value.is_bool()) return value.truthy() ? "true" : "false";
    if (value.is_integer()) return fmt::format("{}", *value.integer());
    if (!value.is_float()) return std::nullopt;
    if (std::isnan(value.number())) return "NaN";
    if (std::isinf(value.number())) return value.number() < 0 ? "-Infinity" : "Infinity";
    return float_repr(value.number());
  }

  void separate(bool first) {
    if (!first) append(text, indent_ ? "," : ", ");
    if (indent_) new_line();
  }

  void new_line() {
    append(text, "\n");
    append(text, std::string(static_cast<size_t>(std::max<int64_t>(*indent_, 0) * level_), ' '));
  }

  void write_list(const List& list) {
    append(text, "[");
    ++level_;
    for (size_t i = 0; i < list.items.size(); ++i) {
      separate(i == 0);
      write(list.items[i]);
    }
    --level_;
    if (indent_ && !list.items.empty()) new_line();
    append(text, "]");
  }

  void write_dict(const Dict& dict) {
    std::vector<std::pair<Value, Value>> items = dict.items;
    if (sort_keys_)
      std::stable_sort(items.begin(), items.end(),
                       [](const auto& left, const auto& right) { return less(left.first, right.first); });
    append(text, "{");
    ++level_;
    for (size_t i = 0; i < items.size(); ++i) {
      const Value& key = items[i].first;
      const auto scalar = key.is_string() ? key.text() : scalar_text(key);
      if (!scalar) raise("keys must be str, int, float, bool or None, not {}", key.type_name());
      separate(i == 0);
      append(text, json_string(*scalar) + ": ");
      write(items[i].second);
    }
    --level_;
    if (indent_ && !items.empty()) new_line();
    append(text, "}");
  }

  std::optional<int64_t> indent_;
  bool sort_keys_;
  int64_t level_ = 0;
};

}  // namespace

std::string to_string(const Value& value) {
  if (value.is_string()) return value.text();
  return value.is_undefined() ? "" : to_repr(value);
}

std::string to_repr(const Value& value) {
  if (value.is_none()) return "None";
  if (value.is_undefined()) return "Undefined";
  if (value.is_bool()) return value.truthy() ? "True" : "False";
  if (value.is_integer()) return fmt::format("{}", *value.integer());
  if (value.is_float()) return float_repr(value.number());
  if (value.is_string()) return string_repr(value.text());
  if (value.is_list()) return list_repr(value.list());
  return value.is_dict() ? dict_repr(value.dict()) : value.object()->describe();
}

std::string to_json(const Value& value, std::optional<int64_t> indent, bool sort_keys) {
  if (indent && *indent > 100) raise("tojson: an indent of {} is too large, expected at most 100", *indent);
  JsonWriter writer(indent, sort_keys);
  writer.write(value);
  return std::move(writer.text);
}

}  // namespace dmoerm::text::jinja
