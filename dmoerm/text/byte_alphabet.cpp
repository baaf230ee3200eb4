#include "dmoerm/text/byte_alphabet.h"

#include "dmoerm/text/utf8.h"

namespace dmoerm::text {
namespace {

constexpr char32_t kLast = 0x143;  // 68 bytes do not stand for themselves: U+0100 to U+0143

bool stands_for_itself(int byte) {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

struct Tables {
  std::array<std::string, 256> characters;
  std::array<int, kLast + 1> bytes;  // -1: not in the alphabet

  Tables() {
    bytes.fill(-1);
    char32_t moved = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      const char32_t character = stands_for_itself(byte) ? static_cast<char32_t>(byte) : moved++;
      append_character(character, characters[byte]);
      bytes[character] = byte;
    }
  }
};

const Tables& tables() {
  static const Tables result;
  return result;
}

}  // namespace

const std::array<std::string, 256>& byte_alphabet() {
  return tables().characters;
}

std::string to_byte_alphabet(std::string_view bytes) {
  std::string text;
  text.reserve(2 * bytes.size());
  for (const char byte : bytes) text += byte_alphabet()[static_cast<unsigned char>(byte)];
  return text;
}

std::optional<std::string> from_byte_alphabet(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const char32_t character = next_character(text, at);
    if (character > kLast || tables().bytes[character] < 0) return std::nullopt;
    bytes += static_cast<char>(tables().bytes[character]);
  }
  return bytes;
}

}  // namespace dmoerm::text
