// Counts the words of texts, split as a trained tokenizer will split them.
#pragma once

#include <string_view>

#include "dmoerm/text/bpe_trainer.h"
#include "dmoerm/text/normalizer.h"
#include "dmoerm/text/pre_tokenizer.h"

namespace dmoerm::text {

class WordCounter {
 public:
  WordCounter(Normalizer normalizer, PreTokenizer pre_tokenizer);

  // Invalid UTF-8 counts as U+FFFD. A word of more than 1 kB (data, not language) is counted in pieces of 1
  // kB.
  void add(std::string_view text);
  const WordCounts& counts() const { return counts_; }

 private:
  Normalizer normalizer_;
  PreTokenizer pre_tokenizer_;
  WordCounts counts_;
};

}  // namespace dmoerm::text
