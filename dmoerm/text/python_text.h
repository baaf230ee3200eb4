// Python's str, as far as chat templates use it: white space, case, splitting, characters by number.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dmoerm::text {

bool is_python_space(char32_t character);  // str.isspace(): White_Space and U+001C to U+001F

enum class Side { Both, Left, Right };
// Without white space, or without the characters of `characters`, at its ends: str.strip, lstrip, rstrip.
std::string_view strip(std::string_view text, Side side = Side::Both);
std::string_view strip(std::string_view text, std::string_view characters, Side side = Side::Both);

size_t num_characters(std::string_view text);
// Where the character of this number begins; the end for one behind the last.
size_t byte_of_character(std::string_view text, size_t number);
std::vector<std::string_view> characters_of(std::string_view text);

// The first place from `from` on; npos when there is none. In linear time.
size_t find_text(std::string_view text, std::string_view part, size_t from = 0);

// str.split, rsplit and splitlines; max_splits < 0: all. An empty separator is the caller's error.
std::vector<std::string_view> split_space(std::string_view text, int64_t max_splits = -1);
std::vector<std::string_view> split_space_from_right(std::string_view text, int64_t max_splits = -1);
std::vector<std::string_view> split_text(std::string_view text, std::string_view separator,
                                         int64_t max_splits = -1);
std::vector<std::string_view> split_text_from_right(std::string_view text, std::string_view separator,
                                                    int64_t max_splits = -1);
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends = false);

// Simple case mappings, one character for one, but for "ß" -> "SS".
std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
std::string capitalized(std::string_view text);
std::string titled(std::string_view text);  // str.title()
// str.islower() and str.isupper(): some character has a case, and all that have one have this one.
bool is_lower(std::string_view text);
bool is_upper(std::string_view text);

}  // namespace dmoerm::text
