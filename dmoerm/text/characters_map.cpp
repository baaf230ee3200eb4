#include "dmoerm/text/characters_map.h"

#include <cstring>

#include "dmoerm/core/error.h"

namespace dmoerm::text {
namespace {

// A unit of darts-clone: bits 0-7 and 31 the label, bit 8 "an entry ends here", bits 10-30 the offset to the
// children, bit 9 whether the offset is to be shifted; a leaf's unit holds its value.
uint32_t offset(uint32_t unit) {
  return (unit >> 10) << ((unit & (1u << 9)) >> 6);
}
uint32_t label(uint32_t unit) {
  return unit & ((1u << 31) | 0xff);
}
bool ends_here(uint32_t unit) {
  return (unit >> 8 & 1) != 0;
}

}  // namespace

CharactersMap::CharactersMap(std::string_view bytes, const std::string& where) {
  if (bytes.empty()) return;
  uint32_t size = 0;
  if (bytes.size() >= sizeof size) std::memcpy(&size, bytes.data(), sizeof size);
  if (size == 0 || size % sizeof size != 0 || size > bytes.size() - sizeof size)
    fail(where, "the map of characters is damaged");
  units_.resize(size / sizeof size);
  std::memcpy(units_.data(), bytes.data() + sizeof size, size);
  replacements_ = bytes.substr(sizeof size + size);
}

size_t CharactersMap::find(std::string_view text, std::string_view& replacement) const {
  if (units_.empty()) return 0;
  size_t longest = 0;
  uint32_t node = offset(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    node ^= byte;
    if (node >= units_.size() || label(units_[node]) != byte) break;
    const uint32_t unit = units_[node];
    node ^= offset(unit);
    if (!ends_here(unit) || node >= units_.size()) continue;
    const uint32_t begin = units_[node] & 0x7fffffff;
    if (begin >= replacements_.size()) continue;  // damage: no entry
    longest = i + 1;
    replacement = std::string_view(replacements_).substr(begin);
    replacement = replacement.substr(0, replacement.find('\0'));
  }
  return longest;
}

}  // namespace dmoerm::text
