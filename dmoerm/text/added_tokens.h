// Tokens that are found in a text as they stand, before anything is split: special tokens and other added
// ones.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dmoerm/core/json.h"
#include "dmoerm/text/byte_trie.h"
#include "dmoerm/text/normalizer.h"

namespace dmoerm::text {

struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool special = false;
  bool normalized = false;              // looked for in the normalised text
  bool single_word = false;             // only where no word character touches it
  bool lstrip = false, rstrip = false;  // takes the white space before, behind it
};

// A piece of a text: an added token, or (id -1) what stands between two.
struct TextPiece {
  std::string_view text;
  int32_t id = -1;
};

// Finds tokens from left to right, the longest at each place.
class TokenMatcher {
 public:
  void add(std::string_view content, const AddedToken& token);  // `token` outlives the matcher
  // Special tokens are found only where `special`.
  std::vector<TextPiece> split(std::string_view text, bool special) const;

 private:
  struct Match {
    size_t begin, end;
    const AddedToken* token;
  };
  bool find(std::string_view text, size_t from, bool special, Match& match) const;
  static bool stands_alone(std::string_view text, const Match& match);

  ByteTrie trie_;
  std::vector<const AddedToken*> tokens_;  // by the trie's values
};

class AddedTokens {
 public:
  // The "added_tokens" list of a tokenizer.json. Error, naming `where`, for wrong types.
  AddedTokens(const Json& list, const Normalizer& normalizer, const std::string& where);
  AddedTokens(const AddedTokens&) = delete;

  const std::vector<AddedToken>& tokens() const { return tokens_; }
  std::vector<TextPiece> split_raw(std::string_view text, bool special) const {
    return raw_.split(text, special);
  }
  std::vector<TextPiece> split_normalized(std::string_view text, bool special) const {
    return normalized_.split(text, special);
  }

 private:
  std::vector<AddedToken> tokens_;
  TokenMatcher raw_, normalized_;
};

}  // namespace dmoerm::text
