#include "dmoerm/core/json.h"

#include <algorithm>

#include "dmoerm/core/file.h"

namespace dmoerm {
namespace {

constexpr int kDeepest =
    1000;  // values inside of values; more of them overflow the stack when they are written

bool is_too_deep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string && c == '\\')
      ++i;
    else if (c == '"')
      in_string = !in_string;
    else if (!in_string && (c == '[' || c == '{'))
      ++depth;
    else if (!in_string && (c == ']' || c == '}'))
      --depth;
    if (depth > kDeepest) return true;
  }
  return false;
}

}  // namespace

Json parse_json(std::string_view text, std::string_view where) {
  if (is_too_deep(text)) fail(where, "not valid JSON: values lie more than {} deep in each other", kDeepest);
  try {
    return Json::parse(text);
  } catch (const Json::exception& error) {
    // nlohmann's text is "[json.exception…] parse error at line 1, column 5: …"; keep what a user needs.
    std::string reason = error.what();
    if (const size_t end = reason.find("] "); end != std::string::npos) reason.erase(0, end + 2);
    std::replace(reason.begin(), reason.end(), '\n', ' ');
    if (reason.size() > 200) reason = reason.substr(0, 200) + "…";
    // An excerpt cut in the middle of a character, or the bad bytes themselves, must not break the message.
    for (char& c : reason)
      if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e) c = '?';
    fail(where, "not valid JSON: {}", reason);
  }
}

Json load_json(const std::filesystem::path& path) {
  return parse_json(read_file(path), path.string());
}

std::string dump_json(const Json& json, int indent) {
  try {
    return json.dump(indent);
  } catch (const Json::exception& error) {
    fail("json", "cannot write: {}", error.what());
  }
}

std::string_view json_kind(const Json& json) {
  switch (json.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::object:
      return "an object";
    case Json::value_t::array:
      return "a list";
    case Json::value_t::string:
      return "a string";
    case Json::value_t::boolean:
      return "true or false";
    case Json::value_t::number_float:
      return "a fraction";
    default:
      return "a whole number";
  }
}

}  // namespace dmoerm
