#include "dmoerm/text/added_tokens.h"

#include <limits>

#include "dmoerm/text/utf8.h"

namespace dmoerm::text {

void TokenMatcher::add(std::string_view content, const AddedToken& token) {
  trie_.add(content, static_cast<int32_t>(tokens_.size()));
  tokens_.push_back(&token);
}

bool TokenMatcher::find(std::string_view text, size_t from, bool special, Match& match) const {
  for (size_t begin = from; begin < text.size(); ++begin) {
    match.token = nullptr;
    trie_.visit_prefixes(text.substr(begin), [&](size_t size, int32_t index) {
      if (special || !tokens_[index]->special) match = {begin, begin + size, tokens_[index]};
    });
    if (match.token != nullptr) return true;
  }
  return false;
}

bool TokenMatcher::stands_alone(std::string_view text, const Match& match) {
  const auto is_word_at = [&](size_t at) { return is_word_character(next_character(text, at)); };
  return (match.begin == 0 || !is_word_at(previous_character(text, match.begin))) &&
         (match.end == text.size() || !is_word_at(match.end));
}

std::vector<TextPiece> TokenMatcher::split(std::string_view text, bool special) const {
  std::vector<TextPiece> pieces;
  size_t done = 0;
  Match match{};
  for (size_t from = 0; find(text, from, special, match);) {
    from = match.end;
    if (match.begin < done) continue;  // inside the white space that the last token took
    if (match.token->single_word && !stands_alone(text, match)) continue;
    if (match.token->lstrip) {
      while (match.begin > done) {
        const size_t before = previous_character(text, match.begin);
        size_t at = before;
        if (!is_white_space(next_character(text, at))) break;
        match.begin = before;
      }
    }
    if (match.token->rstrip) {
      for (size_t at = match.end; at < text.size() && is_white_space(next_character(text, at));)
        match.end = at;
    }
    if (match.begin > done) pieces.push_back({text.substr(done, match.begin - done)});
    pieces.push_back({text.substr(match.begin, match.end - match.begin), match.token->id});
    done = match.end;
  }
  if (done < text.size()) pieces.push_back({text.substr(done)});
  return pieces;
}

AddedTokens::AddedTokens(const Json& list, const Normalizer& normalizer, const std::string& where) {
  if (!list.is_null() && !list.is_array()) fail(where, "found {}, expected a list", json_kind(list));
  for (const Json& item : list) {
    AddedToken token;
    const auto id = json_field<int64_t>(item, "id", where);
    token.content = json_field<std::string>(item, "content", where);
    if (id < 0 || id > std::numeric_limits<int32_t>::max())
      fail(where, "\"{}\" has the id {}, expected 0 or more, in 31 bits", token.content, id);
    token.id = static_cast<int32_t>(id);
    token.special = json_field_or(item, "special", false, where);
    token.normalized = json_field_or(item, "normalized", !token.special, where);
    token.single_word = json_field_or(item, "single_word", false, where);
    token.lstrip = json_field_or(item, "lstrip", false, where);
    token.rstrip = json_field_or(item, "rstrip", false, where);
    if (token.content.empty()) fail(where, "token {} has an empty \"content\"", token.id);
    tokens_.push_back(std::move(token));
  }
  for (const AddedToken& token : tokens_) {
    if (token.normalized) {
      const std::string content = normalizer.normalize(token.content);
      if (content.empty()) fail(where, "token {} is empty once it is normalised", token.id);
      normalized_.add(content, token);
    } else {
      raw_.add(token.content, token);
    }
  }
}

}  // namespace dmoerm::text
