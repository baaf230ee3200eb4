// Trains a byte-level BPE tokenizer and writes it as Hugging Face `tokenizers` and `transformers` read it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "dmoerm/text/word_counter.h"

namespace dmoerm::text {

struct TokenizerTrainOptions {
  std::vector<std::filesystem::path> inputs;  // see TextReader
  std::filesystem::path output;               // directory: tokenizer.json, tokenizer_config.json
  int64_t vocab_size = 8192;                  // all tokens: the format's special ones, 256 bytes, merges
  std::string chat_format = "plain";          // its special tokens and its template go into the tokenizer
  int64_t max_bytes = 0;                      // stop reading after so much text; 0: read all
};

// Reads, trains and writes. Deterministic. Error for input without text and for a vocabulary without room for
// the bytes. A vocabulary that the text cannot fill is smaller than asked for, with a warning in the log.
void train_tokenizer(const TokenizerTrainOptions& options);

// The two halves of the above, for texts that are in no file: count with this, then write.
WordCounter tokenizer_word_counter();
void write_tokenizer(const WordCounts& words, const TokenizerTrainOptions& options);

}  // namespace dmoerm::text
