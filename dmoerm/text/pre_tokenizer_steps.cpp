#include "dmoerm/text/pre_tokenizer_steps.h"

#include <algorithm>
#include <map>

#include "dmoerm/text/json_parts.h"

namespace dmoerm::text {
namespace {

// The first place behind `from` where a space stands behind something else.
size_t next_space_word(std::string_view text, std::string_view space, size_t from) {
  for (size_t at = from; (at = text.find(space, at)) != std::string_view::npos; at += space.size())
    if (at > 0 && !text.substr(0, at).ends_with(space)) return at;
  return std::string_view::npos;
}

// Oniguruma, which Hugging Face reads these with, knows sets inside a character class and their intersection;
// PCRE2 would take the signs for characters, without a word.
void refuse_set_operations(const std::string& pattern, const std::string& where) {
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const std::string_view rest = std::string_view(pattern).substr(i);
    if (rest[0] == '\\') {
      ++i;
    } else if (in_class && (rest.starts_with("&&") || (rest[0] == '[' && !rest.starts_with("[:")))) {
      fail(where, "\"{}\" holds sets inside a character class, expected none: they are not supported",
           pattern);
    } else if (rest.starts_with("[:") && in_class) {
      i = std::min(pattern.find(":]", i), pattern.size() - 2) + 1;
    } else if (rest[0] == '[') {
      in_class = true;
      if (rest.starts_with("[^")) ++i;
      if (i + 1 < pattern.size() && pattern[i + 1] == ']') ++i;  // a character where it stands first
    } else if (rest[0] == ']') {
      in_class = false;
    }
  }
}

}  // namespace

Split Split::from_json(const Json& json, const std::string& where) {
  static const std::map<std::string, SplitBehavior> behaviors = {
      {"Removed", SplitBehavior::Removed},
      {"Isolated", SplitBehavior::Isolated},
      {"MergedWithPrevious", SplitBehavior::MergedWithPrevious},
      {"MergedWithNext", SplitBehavior::MergedWithNext},
      {"Contiguous", SplitBehavior::Contiguous}};
  const auto name = json_field<std::string>(json, "behavior", where);
  const auto behavior = behaviors.find(name);
  if (behavior == behaviors.end()) fail(where, "\"behavior\" is \"{}\", expected Isolated, Removed, …", name);
  const Json& pattern = json_member(json, "pattern", where);
  const bool is_regex = pattern.is_object() && pattern.contains("Regex");
  const auto text = json_field<std::string>(pattern, is_regex ? "Regex" : "String", where);
  if (is_regex) refuse_set_operations(text, where);
  return Split(Regex(is_regex ? text : Regex::escaped(text), where), behavior->second,
               json_field_or(json, "invert", false, where));
}

void Split::split(std::string_view word, std::vector<std::string_view>& out) const {
  struct Part {
    size_t begin, end;
    bool match;
  };
  std::vector<Part> parts;
  size_t done = 0;
  for (size_t from = 0; from < word.size();) {
    const RegexMatch match = regex_.find(word, from);
    if (!match.found) break;
    if (match.begin == match.end) {  // an empty match splits nothing
      from = match.end;
      if (from < word.size()) do
          ++from;
        while (from < word.size() && (word[from] & 0xc0) == 0x80);
      continue;
    }
    if (match.begin > done) parts.push_back({done, match.begin, invert_});
    parts.push_back({match.begin, match.end, !invert_});
    from = done = match.end;
  }
  if (done < word.size()) parts.push_back({done, word.size(), invert_});

  bool previous_match = false, open = false;  // open: the last word takes the next part
  for (const Part& part : parts) {
    const bool remove = behavior_ == SplitBehavior::Removed && part.match;
    const bool join =
        (behavior_ == SplitBehavior::MergedWithPrevious && part.match && open && !previous_match) ||
        (behavior_ == SplitBehavior::MergedWithNext && !part.match && open && previous_match) ||
        (behavior_ == SplitBehavior::Contiguous && open && part.match == previous_match);
    if (join) {
      out.back() = {out.back().data(), out.back().size() + part.end - part.begin};
    } else if (!remove) {
      out.push_back(word.substr(part.begin, part.end - part.begin));
    }
    open = !remove;
    previous_match = part.match;
  }
}

void Split::apply(Words& words, bool) const {
  std::vector<std::string_view> result;
  for (const std::string_view word : words.words) split(word, result);
  words.words = std::move(result);
}

Split gpt2_split() {
  return Split(
      Regex(R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", "ByteLevel"),
      SplitBehavior::Isolated);
}

void PrefixSpace::apply(Words& words, bool) const {
  for (std::string_view& word : words.words)
    if (word.front() != ' ') word = words.owned.emplace_back(" " + std::string(word));
}

Metaspace Metaspace::from_json(const Json& json, const std::string& where) {
  Metaspace result;
  result.replacement_ = json_field_or<std::string>(json, "replacement", "▁", where);
  if (result.replacement_.empty()) fail(where, "Metaspace has an empty \"replacement\"");
  const bool add_prefix_space = json_field_or(json, "add_prefix_space", true, where);  // the older form
  const auto scheme =
      json_field_or<std::string>(json, "prepend_scheme", add_prefix_space ? "always" : "never", where);
  if (scheme == "first") {
    result.prepend_ = Prepend::First;
  } else if (scheme == "never") {
    result.prepend_ = Prepend::Never;
  } else if (scheme != "always") {
    fail(where, "\"prepend_scheme\" is \"{}\", expected always, first or never", scheme);
  }
  result.split_ = json_field_or(json, "split", true, where);
  return result;
}

void Metaspace::apply(Words& words, bool first) const {
  std::vector<std::string_view> result;
  for (const std::string_view word : words.words) {
    std::string text = replace_all(word, " ", replacement_);
    const bool prepend = prepend_ == Prepend::Always || (prepend_ == Prepend::First && first);
    if (prepend && !text.starts_with(replacement_)) text.insert(0, replacement_);
    const std::string_view owned = words.owned.emplace_back(std::move(text));
    first = false;
    size_t begin = 0;
    for (size_t at; split_ && (at = owned.find(replacement_, begin + 1)) != std::string_view::npos;
         begin = at)
      result.push_back(owned.substr(begin, at - begin));
    result.push_back(owned.substr(begin));
  }
  words.words = std::move(result);
}

bool SpaceWords::changes_nothing(const Vocabulary& tokens, std::string_view space) {
  // Without a token for the space itself, it might belong to a run of unknown characters, which is one token.
  return tokens.contains(space) && std::ranges::none_of(tokens, [&](const auto& token) {
           return next_space_word(token.first, space, 0) != std::string_view::npos;
         });
}

void SpaceWords::apply(Words& words, bool) const {
  std::vector<std::string_view> result;
  for (const std::string_view word : words.words) {
    size_t begin = 0;
    for (size_t at; (at = next_space_word(word, space_, begin + 1)) != std::string_view::npos; begin = at)
      result.push_back(word.substr(begin, at - begin));
    result.push_back(word.substr(begin));
  }
  words.words = std::move(result);
}

}  // namespace dmoerm::text
