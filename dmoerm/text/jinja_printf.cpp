// Python's printf-style formatting of text.
#include <algorithm>
#include <cctype>
#include <cmath>

#include "dmoerm/text/jinja_operators.h"
#include "dmoerm/text/python_text.h"

namespace dmoerm::text::jinja {
namespace {

constexpr int kMaxWidth = 1000;

struct Conversion {
  bool left = false, zero = false, plus = false;
  int width = 0, precision = -1;
  char kind = 0;
};

int read_number(const std::string& format, size_t& at) {
  int number = 0;
  for (; at < format.size() && std::isdigit(static_cast<unsigned char>(format[at])); ++at) {
    number = number * 10 + (format[at] - '0');
    if (number > kMaxWidth) raise("format: a width above {}", kMaxWidth);
  }
  return number;
}

Conversion read_conversion(const std::string& format, size_t& at) {
  Conversion conversion;
  for (; at < format.size(); ++at) {
    if (format[at] == '-') {
      conversion.left = true;
    } else if (format[at] == '0') {
      conversion.zero = true;
    } else if (format[at] == '+') {
      conversion.plus = true;
    } else {
      break;
    }
  }
  conversion.width = read_number(format, at);
  if (at < format.size() && format[at] == '.') conversion.precision = read_number(format, ++at);
  if (at == format.size()) raise("format: \"%\" stands at the end without a conversion");
  conversion.kind = format[at++];
  return conversion;
}

std::string number_text(const Conversion& conversion, const Value& value) {
  if (!value.is_number()) raise("format: %{} needs a number, found '{}'", conversion.kind, value.type_name());
  std::string digits;
  const bool negative = value.number() < 0;
  if (conversion.kind == 'f') {
    digits =
        fmt::format("{:.{}f}", std::abs(value.number()), conversion.precision < 0 ? 6 : conversion.precision);
  } else {
    if (!value.integer() && std::abs(value.number()) > 9e18) raise("format: {} is too large", value.number());
    const int64_t whole = value.integer() ? *value.integer() : static_cast<int64_t>(value.number());
    const uint64_t magnitude = whole < 0 ? 0 - static_cast<uint64_t>(whole) : static_cast<uint64_t>(whole);
    digits = conversion.kind == 'x' ? fmt::format("{:x}", magnitude) : fmt::format("{}", magnitude);
  }
  const std::string sign = negative ? "-" : conversion.plus ? "+" : "";
  const int fill = conversion.width - static_cast<int>(sign.size() + digits.size());
  if (conversion.zero && !conversion.left && fill > 0) digits.insert(0, fill, '0');
  return sign + digits;
}

std::string converted(const Conversion& conversion, const Value& value) {
  std::string text;
  switch (conversion.kind) {
    case 's':
    case 'r':
      text = conversion.kind == 's' ? to_string(value) : to_repr(value);
      if (conversion.precision >= 0) text.resize(byte_of_character(text, conversion.precision));
      break;
    case 'd':
    case 'i':
    case 'x':
    case 'f':
      text = number_text(conversion, value);
      break;
    default:
      raise_unsupported("the conversion \"%{}\" of a format", conversion.kind);
  }
  const auto length = static_cast<int>(std::min<size_t>(num_characters(text), kMaxWidth));
  const std::string fill(std::max(conversion.width - length, 0), ' ');
  return conversion.left ? text + fill : fill + text;
}

}  // namespace

std::string format_printf(const std::string& format, const std::vector<Value>& values) {
  std::string text;
  size_t used = 0;
  for (size_t at = 0; at < format.size();) {
    const size_t percent = std::min(format.find('%', at), format.size());
    append(text, std::string_view(format).substr(at, percent - at));
    if (percent == format.size()) break;
    at = percent + 1;
    const Conversion conversion = read_conversion(format, at);
    if (conversion.kind == '%') {
      append(text, "%");
      continue;
    }
    if (used == values.size()) raise("not enough arguments for format string");
    append(text, converted(conversion, values[used++]));
  }
  if (used < values.size()) raise("not all arguments converted during string formatting");
  return text;
}

}  // namespace dmoerm::text::jinja
