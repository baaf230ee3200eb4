// GPT-2's byte alphabet: every byte as one printable character, so that any text is a string of characters of
// the vocabulary. Printable Latin-1 stands for itself, the other bytes are moved to U+0100 and up.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace dmoerm::text {

std::string to_byte_alphabet(std::string_view bytes);
// The bytes back; nothing when a character is outside the alphabet.
std::optional<std::string> from_byte_alphabet(std::string_view text);
// The character of each byte, as UTF-8.
const std::array<std::string, 256>& byte_alphabet();

}  // namespace dmoerm::text
