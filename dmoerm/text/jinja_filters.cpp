#include "dmoerm/text/jinja_filters.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "dmoerm/text/jinja_methods.h"
#include "dmoerm/text/jinja_operators.h"
#include "dmoerm/text/python_text.h"
#include "dmoerm/text/utf8.h"

namespace dmoerm::text::jinja {
namespace {

Value text_of(const FilterCall& call, std::string (*map)(std::string_view)) {
  call.take({});
  return map(to_string(call.input));
}

Value default_filter(const FilterCall& call) {
  const auto arguments = call.take({"default_value", "boolean"});
  const bool replace = call.input.is_undefined() || (arguments[1].truthy() && !call.input.truthy());
  if (!replace) return call.input;
  return call.arguments.positional.empty() && arguments[0].is_undefined() ? Value("") : arguments[0];
}

Value length_filter(const FilterCall& call) {
  call.take({});
  const Value& input = call.input;
  if (input.is_undefined()) return int64_t{0};
  if (input.is_string()) return static_cast<int64_t>(num_characters(input.text()));
  if (input.is_list()) return static_cast<int64_t>(input.list().items.size());
  if (!input.is_dict()) raise("object of type '{}' has no len()", input.type_name());
  return static_cast<int64_t>(input.dict().items.size());
}

Value trim_filter(const FilterCall& call) {
  const Value characters = call.take({"chars"})[0];
  const std::string text = to_string(call.input);
  if (characters.is_undefined() || characters.is_none()) return strip(text);
  return strip(text, to_string(characters));
}

// Words begin behind white space, hyphens and opening brackets.
std::string title_filter(std::string_view text) {
  std::string result, word;
  const auto finish_word = [&] {
    const size_t first = byte_of_character(word, 1);
    result += to_upper(word.substr(0, first)) + to_lower(word.substr(first));
    word.clear();
  };
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const char32_t c = next_character(text, at);
    const bool separates = is_python_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
    if (separates) finish_word();
    (separates ? result : word) += text.substr(begin, at - begin);
  }
  finish_word();
  return result;
}

Value replace_filter(const FilterCall& call) {
  const auto arguments = call.take({"old", "new", "count"}, 2);
  return replaced(to_string(call.input), to_string(arguments[0]), to_string(arguments[1]),
                  integer_or(call.name, arguments[2], -1));
}

Value indent_filter(const FilterCall& call) {
  const auto arguments = call.take({"width", "first", "blank"});
  std::string margin;
  if (arguments[0].is_string()) {
    margin = arguments[0].text();
  } else {
    const int64_t width = integer_or(call.name, arguments[0], 4);
    if (width > 1000) raise("indent: a width of {}, expected at most 1000", width);
    margin = std::string(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
  }
  if (!call.input.is_string()) raise("indent: found '{}', expected a str", call.input.type_name());
  const std::string text = call.input.text() + "\n";
  std::string result;
  bool is_first = true;
  for (const std::string_view line : split_lines(text)) {
    if (!is_first) append(result, "\n");
    if (is_first ? arguments[1].truthy() : arguments[2].truthy() || !line.empty()) append(result, margin);
    append(result, line);
    is_first = false;
  }
  return result;
}

Value tojson_filter(const FilterCall& call) {
  const auto arguments = call.take({"ensure_ascii", "indent", "separators", "sort_keys"});
  if (arguments[0].truthy()) raise_unsupported("tojson with ensure_ascii");
  if (arguments[2].truthy()) raise_unsupported("tojson with separators");
  std::optional<int64_t> indent;
  if (!arguments[1].is_undefined() && !arguments[1].is_none())
    indent = integer_or(call.name, arguments[1], 0);
  return to_json(call.input, indent, arguments[3].truthy());
}

// The number that a text is, white space around it and _ between digits allowed.
template <typename Number>
std::optional<Number> parse_number(const std::string& text) {
  std::string digits(strip(text));
  if (digits.starts_with('+')) digits.erase(0, 1);
  for (size_t i = 1; i + 1 < digits.size(); ++i)
    if (digits[i] == '_') digits.erase(i, 1);
  Number number = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, number);
  if (error != std::errc() || stop != end || digits.empty()) return std::nullopt;
  return number;
}

std::optional<int64_t> whole_part(double number) {
  if (!(std::abs(number) < 9e18)) return std::nullopt;
  return static_cast<int64_t>(number);
}

Value int_filter(const FilterCall& call) {
  const auto arguments = call.take({"default", "base"});
  if (integer_or(call.name, arguments[1], 10) != 10) raise_unsupported("int with another base than 10");
  const Value& input = call.input;
  if (input.is_undefined()) raise("{}", input.why_undefined());
  std::optional<int64_t> number = input.integer();
  if (input.is_float()) number = whole_part(input.number());
  if (input.is_string()) {
    number = parse_number<int64_t>(input.text());
    if (!number)
      if (const auto real = parse_number<double>(input.text())) number = whole_part(*real);
  }
  if (number) return *number;
  return arguments[0].is_undefined() ? Value(int64_t{0}) : arguments[0];
}

Value float_filter(const FilterCall& call) {
  const Value fallback = call.take({"default"})[0];
  const Value& input = call.input;
  if (input.is_undefined()) raise("{}", input.why_undefined());
  if (input.is_number()) return input.number();
  if (input.is_string())
    if (const auto number = parse_number<double>(input.text())) return *number;
  return fallback.is_undefined() ? Value(0.0) : fallback;
}

Value abs_filter(const FilterCall& call) {
  call.take({});
  if (!call.input.is_number()) raise("bad operand type for abs(): '{}'", call.input.type_name());
  return call.input.number() < 0 ? unary("-", call.input) : unary("+", call.input);
}

Value round_filter(const FilterCall& call) {
  const auto arguments = call.take({"precision", "method"});
  const int64_t precision = integer_or(call.name, arguments[0], 0);
  const std::string method = arguments[1].is_undefined() ? "common" : to_string(arguments[1]);
  if (!call.input.is_number()) raise("round: found '{}', expected a number", call.input.type_name());
  if (precision < 0 || precision > 15) raise_unsupported("round to {} digits", precision);
  const double number = call.input.number(), scale = std::pow(10.0, static_cast<double>(precision));
  if (method == "ceil") return std::ceil(number * scale) / scale;
  if (method == "floor") return std::floor(number * scale) / scale;
  if (method != "common") raise("round: found the method \"{}\", expected common, ceil or floor", method);
  if (call.input.integer()) return *call.input.integer();
  return *parse_number<double>(fmt::format("{:.{}f}", number, static_cast<int>(precision)));
}

Value escape_filter(const FilterCall& call) {
  call.take({});
  std::string result;
  for (const char c : to_string(call.input)) {
    const size_t place = std::string_view("&<>'\"").find(c);
    constexpr std::string_view kEntities[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    append(result, place == std::string_view::npos ? std::string_view(&c, 1) : kEntities[place]);
  }
  return result;
}

Value format_filter(const FilterCall& call) {
  if (!call.arguments.named.empty()) raise_unsupported("format with arguments by name");
  return format_printf(to_string(call.input), call.arguments.positional);
}

Value same_text(const FilterCall& call) {
  call.take({});
  return to_string(call.input);
}

const std::map<std::string, Filter>& value_filters() {
  static const std::map<std::string, Filter> filters = {
      {"abs", abs_filter},
      {"capitalize", [](const FilterCall& call) { return text_of(call, capitalized); }},
      {"count", length_filter},
      {"d", default_filter},
      {"default", default_filter},
      {"e", escape_filter},
      {"escape", escape_filter},
      {"float", float_filter},
      {"format", format_filter},
      {"indent", indent_filter},
      {"int", int_filter},
      {"length", length_filter},
      {"lower", [](const FilterCall& call) { return text_of(call, to_lower); }},
      {"replace", replace_filter},
      {"round", round_filter},
      {"safe", same_text},
      {"string", same_text},
      {"title", [](const FilterCall& call) { return text_of(call, title_filter); }},
      {"tojson", tojson_filter},
      {"trim", trim_filter},
      {"upper", [](const FilterCall& call) { return text_of(call, to_upper); }},
  };
  return filters;
}

}  // namespace

Value apply_filter(Workspace& workspace, const std::string& name, const Value& input,
                   const Arguments& arguments) {
  workspace.charge(input.weight());
  for (const Value& argument : arguments.positional) workspace.charge(argument.weight());
  for (const auto* filters : {&value_filters(), &list_filters()}) {
    const auto filter = filters->find(name);
    if (filter != filters->end())
      return workspace.charged(filter->second({workspace, name, input, arguments}));
  }
  raise_unsupported("the filter \"{}\"", name);
}

}  // namespace dmoerm::text::jinja
