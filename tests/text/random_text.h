// Random valid Unicode: all planes, emoji, combining marks, controls, white space, plain words.
#pragma once

#include <string>

#include "dmoerm/core/random.h"
#include "dmoerm/text/utf8.h"

namespace dmoerm::text {

inline char32_t random_character(RandomStream& random) {
  switch (random.below(8)) {
    case 0:
      return static_cast<char32_t>(random.below(0x110000));  // any plane
    case 1:
      return static_cast<char32_t>(random.below(0x20));  // controls
    case 2:
      return static_cast<char32_t>(0x300 + random.below(0x70));  // combining marks
    case 3:
      return static_cast<char32_t>(0x1f300 + random.below(0x400));  // emoji
    case 4:
      return U" \t\n\u00a0\u200b\u200d\u2028\u3000"[random.below(8)];
    case 5:
      return static_cast<char32_t>(random.below(0x3000));
    default:
      return static_cast<char32_t>('a' + random.below(26));
  }
}

inline std::string random_text(RandomStream& random) {
  std::string text;
  for (uint64_t i = random.below(40); i > 0; --i) {
    const char32_t character = random_character(random);
    if (character < 0xd800 || character >= 0xe000) append_character(character, text);
  }
  return text;
}

}  // namespace dmoerm::text
