// SentencePiece's precompiled_charsmap: a double-array trie (Aoe 1989, as darts-clone lays it out) from
// character sequences to what they are normalised to.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace dmoerm::text {

class CharactersMap {
 public:
  CharactersMap() = default;
  CharactersMap(std::string_view bytes, const std::string& where);  // Error when it is damaged

  // How many bytes at the beginning of `text` are replaced (the longest entry; 0: none), and by what.
  size_t find(std::string_view text, std::string_view& replacement) const;

 private:
  std::vector<uint32_t> units_;
  std::string replacements_;  // each ends with a NUL
};

}  // namespace dmoerm::text
