// UTF-8: repair, characters one by one, and the classes of characters that tokenizers ask for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace dmoerm::text {

bool is_valid_utf8(std::string_view text);

// Every maximal invalid part (Unicode 15, section 3.9) becomes one U+FFFD; valid text stays as it is.
std::string repair_utf8(std::string_view text);

int64_t count_characters(std::string_view text);  // invalid bytes that could continue one do not count

// The character at `position` of valid UTF-8; moves `position` behind it. In invalid text: any character, in
// bounds.
char32_t next_character(std::string_view text, size_t& position);
// Where the character that ends before `position` > 0 begins.
size_t previous_character(std::string_view text, size_t position);
void append_character(char32_t character, std::string& text);

bool is_white_space(char32_t character);     // Unicode White_Space
bool is_word_character(char32_t character);  // letters, marks, decimal digits, connectors: a regex's \w

}  // namespace dmoerm::text
