// JSON: parsing with one-line errors, and typed fields that name what is wrong.
#pragma once

#include <nlohmann/json.hpp>

#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "dmoerm/core/error.h"

namespace dmoerm {

using Json = nlohmann::json;

// `where` is the file (and line) for messages. Invalid UTF-8, lone surrogates and NaN are errors.
Json parse_json(std::string_view text, std::string_view where);
Json load_json(const std::filesystem::path& path);

// One line of text; Error for a string that is not valid UTF-8. JSON has no numbers that are not finite: they
// are written as null.
std::string dump_json(const Json& json, int indent = -1);

std::string_view json_kind(const Json& json);  // "a string", "a number", … for messages

namespace detail {
template <typename T>
bool json_is(const Json& json) {
  if constexpr (std::is_same_v<T, bool>)
    return json.is_boolean();
  else if constexpr (std::is_integral_v<T>)
    return json.is_number_integer();
  else if constexpr (std::is_floating_point_v<T>)
    return json.is_number();
  else if constexpr (std::is_same_v<T, std::string>)
    return json.is_string();
  else
    return true;
}
template <typename T>
constexpr const char* json_expected() {
  if constexpr (std::is_same_v<T, bool>)
    return "true or false";
  else if constexpr (std::is_integral_v<T>)
    return "a whole number";
  else if constexpr (std::is_floating_point_v<T>)
    return "a number";
  else if constexpr (std::is_same_v<T, std::string>)
    return "a string";
  else
    return "another type";
}
}  // namespace detail

// The field's value; Error when it is absent, of another type, or a whole number that T does not hold.
template <typename T>
T json_field(const Json& object, const std::string& key, std::string_view where) {
  const auto field = object.is_object() ? object.find(key) : object.end();
  if (field == object.end()) fail(where, "\"{}\" is missing", key);
  if (!detail::json_is<T>(*field))
    fail(where, "\"{}\" is {}, expected {}", key, json_kind(*field), detail::json_expected<T>());
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    const bool fits = field->is_number_unsigned() ? std::in_range<T>(field->template get<uint64_t>())
                                                  : std::in_range<T>(field->template get<int64_t>());
    if (!fits)
      fail(where, "\"{}\" is {}, expected a whole number from {} to {}", key, field->dump(),
           std::numeric_limits<T>::min(), std::numeric_limits<T>::max());
  }
  return field->template get<T>();
}

// The same with a default for an absent or null field.
template <typename T>
T json_field_or(const Json& object, const std::string& key, T fallback, std::string_view where) {
  const auto field = object.is_object() ? object.find(key) : object.end();
  if (field == object.end() || field->is_null()) return fallback;
  return json_field<T>(object, key, where);
}

}  // namespace dmoerm
