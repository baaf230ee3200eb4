// The vocabulary of the synthetic world: classes of ordinary words. See docs/world.md.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dmoerm::data {

// The first six are matched classes: what counts is whether an answer repeats the prompt's own words of the
// class.
enum class WordClass : uint8_t {
  Noun,
  Color,
  Mood,
  Relation,
  Role,
  Style,
  Vivid,
  Plain,
  Emotion,
  Hedge,
  Filler,
  Evidence,
  Connective,
  Step,
  Viewpoint,
  Question,
  Other,
};
inline constexpr size_t kNumMatchedClasses = 6;
inline constexpr size_t kNumWordClasses = static_cast<size_t>(WordClass::Other);

constexpr bool is_matched_class(WordClass kind) {
  return static_cast<size_t>(kind) < kNumMatchedClasses;
}

const std::vector<std::string>& words_of(WordClass kind);
WordClass class_of(std::string_view word);

// Verbs that ask for task `task` (index into paper_tasks()), and verbs that two tasks share.
const std::vector<std::string>& cue_words(size_t task);
struct SharedCue {
  std::string word;
  size_t first, second;
};
const std::vector<SharedCue>& shared_cues();

std::vector<std::string_view> split_words(std::string_view text);

// What can be counted in an answer.
struct AnswerCounts {
  std::array<int, kNumWordClasses> all{};         // words of the class in the answer
  std::array<int, kNumMatchedClasses> matched{};  // of these, words that also stand in the prompt
  int distinct_nouns = 0, distinct_viewpoints = 0;

  double count(WordClass kind) const { return all[static_cast<size_t>(kind)]; }
  // `kind` is a matched class: words repeated from the prompt less 0.7 for each word of the class that the
  // prompt does not hold.
  double match(WordClass kind) const {
    const auto i = static_cast<size_t>(kind);
    return matched[i] - 0.7 * (all[i] - matched[i]);
  }
};
AnswerCounts count_words(std::string_view prompt, std::string_view answer);

}  // namespace dmoerm::data
