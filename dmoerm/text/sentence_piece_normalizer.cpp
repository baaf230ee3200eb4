#include "dmoerm/text/sentence_piece_normalizer.h"

#include "dmoerm/text/utf8.h"

namespace dmoerm::text {
namespace {

// The place behind `from` where a word begins: a space behind something else.
size_t next_word(std::string_view text, std::string_view space, size_t from) {
  for (size_t at = from; (at = text.find(space, at)) != std::string_view::npos; at += space.size())
    if (at > 0 && !text.substr(0, at).ends_with(space)) return at;
  return std::string_view::npos;
}

}  // namespace

SentencePieceNormalizer::SentencePieceNormalizer(const SentencePieceFile& file, bool prefix_first_only,
                                                 const std::string& where)
    : characters_(file.characters_map, where),
      space_(file.escape_whitespaces ? "▁" : " "),
      add_prefix_(file.add_dummy_prefix),
      prefix_first_only_(prefix_first_only),
      remove_extra_spaces_(file.remove_extra_whitespaces) {
  split_ = file.byte_fallback;  // runs of unknown characters are one token: they must not be cut
  for (const auto& piece : file.pieces) {
    if (piece.type == SentencePieceFile::Type::UserDefined) user_defined_.add(piece.text, 0);
    if (piece.text == space_) split_ = true;
  }
  for (const auto& piece : file.pieces)
    if (next_word(piece.text, space_, 0) != std::string::npos) split_ = false;
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

void SentencePieceNormalizer::split(std::string_view text, std::vector<std::string_view>& words) const {
  size_t begin = 0;
  for (size_t at; split_ && (at = next_word(text, space_, begin + 1)) != std::string_view::npos; begin = at)
    words.push_back(text.substr(begin, at - begin));
  words.push_back(text.substr(begin));
}

void SentencePieceNormalizer::apply(Words& words, bool first) const {
  std::vector<std::string_view> result;
  for (const std::string_view word : words.words) {
    std::string text = normalize(word, add_prefix_ && (first || !prefix_first_only_));
    if (!text.empty()) split(words.owned.emplace_back(std::move(text)), result);
  }
  words.words = std::move(result);
}

}  // namespace dmoerm::text
