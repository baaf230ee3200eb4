#include "dmoerm/text/word_counter.h"

#include "dmoerm/text/utf8.h"

namespace dmoerm::text {

WordCounter::WordCounter(Normalizer normalizer, PreTokenizer pre_tokenizer)
    : normalizer_(std::move(normalizer)), pre_tokenizer_(std::move(pre_tokenizer)) {}

void WordCounter::add(std::string_view text) {
  constexpr size_t kPiece = 1024;
  const std::string normalized =
      normalizer_.normalize(is_valid_utf8(text) ? std::string(text) : repair_utf8(text));
  const Words words = pre_tokenizer_.split(normalized, true);
  for (std::string_view word : words.words) {
    for (; !word.empty(); word.remove_prefix(std::min(kPiece, word.size()))) {
      const std::string_view piece = word.substr(0, kPiece);
      const auto found = counts_.find(piece);
      if (found != counts_.end()) {
        ++found->second;
      } else {
        counts_.emplace(std::string(piece), 1);
      }
    }
  }
}

}  // namespace dmoerm::text
