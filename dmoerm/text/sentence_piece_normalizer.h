// SentencePiece's normaliser: replaced characters, spaces as "▁", a space in front.
#pragma once

#include <string>

#include "dmoerm/text/byte_trie.h"
#include "dmoerm/text/characters_map.h"
#include "dmoerm/text/pre_tokenizer.h"
#include "dmoerm/text/sentence_piece_file.h"

namespace dmoerm::text {

class SentencePieceNormalizer : public PreTokenizerStep {
 public:
  // `prefix_first_only`: only the text's beginning gets the space in front.
  SentencePieceNormalizer(const SentencePieceFile& file, bool prefix_first_only, const std::string& where);
  void apply(Words& words, bool first) const override;
  const std::string& space() const { return space_; }  // what a space becomes

 private:
  std::string normalize(std::string_view text, bool prefix) const;
  size_t next_part(std::string_view text, std::string_view& part) const;

  CharactersMap characters_;
  ByteTrie user_defined_;  // pieces that stay as they stand
  std::string space_;
  bool add_prefix_, prefix_first_only_, remove_extra_spaces_;
};

}  // namespace dmoerm::text
