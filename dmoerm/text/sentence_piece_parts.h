// A SentencePiece model as the parts of a tokenizer.
#pragma once

#include "dmoerm/text/tokenizer_parts.h"

namespace dmoerm::text {

// Control pieces and <unk> are special tokens. Where tokenizer_config.json has "legacy": false, only the
// text's beginning gets the model's space in front, else every part behind a special token too.
TokenizerParts read_sentence_piece(const TokenizerFiles& files);

}  // namespace dmoerm::text
