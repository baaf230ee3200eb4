// What a tiktoken rank file, or vocab.json with merges.txt, leaves out: how text is normalised and split, and
// the special tokens. Named after the model family that it was published with.
#pragma once

#include <string>
#include <vector>

#include "dmoerm/text/tokenizer_files.h"

namespace dmoerm::text {

struct BytePreset {
  const char* name;
  TokenizerFiles::Kind kind;
  const char* tokenizer_class;  // in tokenizer_config.json
  int64_t num_tokens;           // without the special ones
  bool nfc;                     // text is brought to Unicode's composed form
  const char* pattern;          // words; "" for GPT-2's
  std::vector<std::string>
      special_tokens;  // their ids follow the last token's, unless they are tokens already
  bool starts_with_bos;
};

// Chosen by tokenizer_config.json's class, else by the file's name or the number of tokens. Error, saying
// what to give, when none fits.
const BytePreset& choose_preset(const TokenizerFiles& files, int64_t num_tokens);

}  // namespace dmoerm::text
