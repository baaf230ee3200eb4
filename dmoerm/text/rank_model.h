// Byte-pair encoding as tiktoken keeps it: a rank for every token, no list of merges. Neighbours merge when
// what they spell together is a token; its rank is also its id. Words and tokens are plain bytes.
#pragma once

#include <array>

#include "dmoerm/text/word_model.h"

namespace dmoerm::text {

class RankModel : public WordModel {
 public:
  // A rank file: a line "BASE64 RANK" for every token. Error, naming `where` and the line, when it is damaged
  // or one of the 256 bytes is no token.
  static RankModel parse(std::string_view text, const std::string& where);

  void encode(std::string_view word, std::vector<int32_t>& ids) const override;

 private:
  std::array<int32_t, 256> byte_ids_{};
};

// True when the first line is that of a rank file.
bool looks_like_ranks(std::string_view text);

}  // namespace dmoerm::text
