#include "dmoerm/text/python_text.h"

#include <algorithm>
#include <cstring>

#include <utf8proc.h>

#include "dmoerm/text/utf8.h"

namespace dmoerm::text {
namespace {

template <typename Predicate>
std::string_view strip_where(std::string_view text, Side side, Predicate strippable) {
  while (side != Side::Right && !text.empty()) {
    size_t end = 0;
    const char32_t character = next_character(text, end);
    if (!strippable(character, text.substr(0, end))) break;
    text.remove_prefix(end);
  }
  while (side != Side::Left && !text.empty()) {
    const size_t begin = previous_character(text, text.size());
    size_t at = begin;
    if (!strippable(next_character(text, at), text.substr(begin))) break;
    text = text.substr(0, begin);
  }
  return text;
}

template <typename Map>
std::string mapped(std::string_view text, Map map) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const char32_t character = next_character(text, at);
    const auto other = static_cast<char32_t>(map(static_cast<utf8proc_int32_t>(character)));
    if (other == character) {
      result += text.substr(begin, at - begin);  // also what is no valid character
    } else {
      append_character(other, result);
    }
  }
  return result;
}

bool is_cased(utf8proc_int32_t character) {
  return utf8proc_toupper(character) != character || utf8proc_tolower(character) != character;
}

bool is_line_end(char32_t c) {
  return (c >= 0x0a && c <= 0x0d) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

}  // namespace

bool is_python_space(char32_t c) {
  return is_white_space(c) || (c >= 0x1c && c <= 0x1f);
}

std::string_view strip(std::string_view text, Side side) {
  return strip_where(text, side, [](char32_t c, std::string_view) { return is_python_space(c); });
}

std::string_view strip(std::string_view text, std::string_view characters, Side side) {
  const std::vector<std::string_view> set = characters_of(characters);
  return strip_where(text, side, [&](char32_t, std::string_view bytes) {
    return std::find(set.begin(), set.end(), bytes) != set.end();
  });
}

size_t num_characters(std::string_view text) {
  size_t count = 0;
  for (size_t at = 0; at < text.size(); ++count) next_character(text, at);
  return count;
}

size_t byte_of_character(std::string_view text, size_t number) {
  size_t at = 0;
  for (; number > 0 && at < text.size(); --number) next_character(text, at);
  return at;
}

std::vector<std::string_view> characters_of(std::string_view text) {
  std::vector<std::string_view> characters;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    next_character(text, at);
    characters.push_back(text.substr(begin, at - begin));
  }
  return characters;
}

size_t find_text(std::string_view text, std::string_view part, size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (part.empty()) return from;
  const void* found = memmem(text.data() + from, text.size() - from, part.data(), part.size());
  return found ? static_cast<const char*>(found) - text.data() : std::string_view::npos;
}

std::vector<std::string_view> split_space(std::string_view text, int64_t max_splits) {
  std::vector<std::string_view> parts;
  for (text = strip(text, Side::Left); !text.empty(); text = strip(text, Side::Left)) {
    if (max_splits >= 0 && static_cast<int64_t>(parts.size()) == max_splits) {
      parts.push_back(text);
      break;
    }
    size_t end = 0;
    for (size_t at = 0; at < text.size() && !is_python_space(next_character(text, at));) end = at;
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return parts;
}

std::vector<std::string_view> split_space_from_right(std::string_view text, int64_t max_splits) {
  std::vector<std::string_view> parts;
  for (text = strip(text, Side::Right); !text.empty(); text = strip(text, Side::Right)) {
    if (max_splits >= 0 && static_cast<int64_t>(parts.size()) == max_splits) {
      parts.push_back(text);
      break;
    }
    size_t begin = text.size();
    while (begin > 0) {
      const size_t previous = previous_character(text, begin);
      size_t at = previous;
      if (is_python_space(next_character(text, at))) break;
      begin = previous;
    }
    parts.push_back(text.substr(begin));
    text = text.substr(0, begin);
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string_view> split_text(std::string_view text, std::string_view separator,
                                         int64_t max_splits) {
  std::vector<std::string_view> parts;
  size_t begin = 0;
  while (max_splits < 0 || static_cast<int64_t>(parts.size()) < max_splits) {
    const size_t at = find_text(text, separator, begin);
    if (at == std::string_view::npos) break;
    parts.push_back(text.substr(begin, at - begin));
    begin = at + separator.size();
  }
  parts.push_back(text.substr(begin));
  return parts;
}

std::vector<std::string_view> split_text_from_right(std::string_view text, std::string_view separator,
                                                    int64_t max_splits) {
  std::vector<std::string_view> parts;
  while (max_splits < 0 || static_cast<int64_t>(parts.size()) < max_splits) {
    const size_t at = text.rfind(separator);
    if (at == std::string_view::npos) break;
    parts.push_back(text.substr(at + separator.size()));
    text = text.substr(0, at);
  }
  parts.push_back(text);
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = at;
    const char32_t character = next_character(text, at);
    if (!is_line_end(character)) continue;
    if (character == '\r' && at < text.size() && text[at] == '\n') ++at;
    lines.push_back(text.substr(begin, (keep_ends ? at : end) - begin));
    begin = at;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

std::string to_upper(std::string_view text) {
  std::string result;
  for (const std::string_view part : split_text(text, "ß")) result += mapped(part, utf8proc_toupper) + "SS";
  return result.substr(0, result.size() - 2);
}

std::string to_lower(std::string_view text) {
  return mapped(text, utf8proc_tolower);
}

std::string capitalized(std::string_view text) {
  const size_t first = byte_of_character(text, 1);
  return mapped(text.substr(0, first), utf8proc_totitle) + to_lower(text.substr(first));
}

std::string titled(std::string_view text) {
  bool after_cased = false;
  return mapped(text, [&](utf8proc_int32_t character) {
    const auto result = after_cased ? utf8proc_tolower(character) : utf8proc_totitle(character);
    after_cased = is_cased(character);
    return result;
  });
}

bool is_lower(std::string_view text) {
  const std::string upper = to_upper(text);
  return to_lower(text) == text && upper != text;
}

bool is_upper(std::string_view text) {
  const std::string lower = to_lower(text);
  return to_upper(text) == text && lower != text;
}

}  // namespace dmoerm::text
