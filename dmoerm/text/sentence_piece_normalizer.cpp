#include "dmoerm/text/sentence_piece_normalizer.h"

#include "dmoerm/text/utf8.h"

namespace dmoerm::text {

SentencePieceNormalizer::SentencePieceNormalizer(const SentencePieceFile& file, bool prefix_first_only,
                                                 const std::string& where)
    : characters_(file.characters_map, where),
      space_(file.escape_whitespaces ? "▁" : " "),
      add_prefix_(file.add_dummy_prefix),
      prefix_first_only_(prefix_first_only),
      remove_extra_spaces_(file.remove_extra_whitespaces) {
  for (const auto& piece : file.pieces)
    if (piece.type == SentencePieceFile::Type::UserDefined) user_defined_.add(piece.text, 0);
}

// What the beginning of `text` is normalised to; returns how much of it that is.
size_t SentencePieceNormalizer::next_part(std::string_view text, std::string_view& part) const {
  size_t size = 0;
  user_defined_.visit_prefixes(text, [&](size_t longest, int32_t) { size = longest; });
  if (size == 0) {
    size = characters_.find(text, part);
    if (size > 0) return size;
    next_character(text, size);
  }
  part = text.substr(0, size);
  return size;
}

std::string SentencePieceNormalizer::normalize(std::string_view text, bool prefix) const {
  std::string result;
  if (prefix) result = space_;
  bool after_space = remove_extra_spaces_;
  for (std::string_view part; !text.empty();) {
    text.remove_prefix(next_part(text, part));
    while (after_space && part.starts_with(' ')) part.remove_prefix(1);
    for (const char c : part) {
      if (c == ' ') {
        result += space_;
      } else {
        result += c;
      }
    }
    if (!part.empty()) after_space = remove_extra_spaces_ && part.ends_with(' ');
  }
  if (remove_extra_spaces_)
    while (result.ends_with(space_)) result.resize(result.size() - space_.size());
  return result;
}

void SentencePieceNormalizer::apply(Words& words, bool first) const {
  std::vector<std::string_view> result;
  for (const std::string_view word : words.words) {
    std::string text = normalize(word, add_prefix_ && (first || !prefix_first_only_));
    if (!text.empty()) result.push_back(words.owned.emplace_back(std::move(text)));
  }
  words.words = std::move(result);
}

}  // namespace dmoerm::text
