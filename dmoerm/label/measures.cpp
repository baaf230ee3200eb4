#include "dmoerm/label/measures.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "dmoerm/label/word_lists.h"

namespace dmoerm::label {
namespace {

using Text = const TextStatistics&;

constexpr size_t kWindow = 50;         // words of the moving type-token ratio
constexpr size_t kOpeningBytes = 250;  // where a refusal stands

// Moving-average type-token ratio (Covington & McFall 2010): it does not fall with length. A text shorter
// than the window counts as one window.
double lexical_richness(Text, Text answer) {
  std::unordered_map<std::string_view, int> in_window;
  double sum = 0, windows = 0;
  for (size_t i = 0; i < answer.words.size(); ++i) {
    ++in_window[answer.words[i]];
    if (i >= kWindow && --in_window[answer.words[i - kWindow]] == 0)
      in_window.erase(answer.words[i - kWindow]);
    if (i + 1 < kWindow) continue;
    sum += static_cast<double>(in_window.size()) / kWindow;
    ++windows;
  }
  return windows > 0 ? sum / windows : static_cast<double>(in_window.size()) / kWindow;
}

// Automated readability index (Smith & Senter 1967), negated: a high value reads easily.
double readability(Text, Text answer) {
  if (answer.words.empty()) return -20;
  const auto words = static_cast<double>(answer.words.size());
  return 21.43 - 4.71 * static_cast<double>(answer.letters) / words - 0.5 * words / answer.sentences;
}

std::set<std::string_view> content_words(Text text) {
  std::set<std::string_view> result;
  for (const std::string& word : text.words)
    if (word.size() > 2 && stop_words().count(word) == 0) result.insert(word);
  return result;
}

double shared(const std::set<std::string_view>& x, const std::set<std::string_view>& y) {
  return std::count_if(x.begin(), x.end(), [&](std::string_view item) { return y.count(item) > 0; });
}

double question_overlap(Text question, Text answer) {
  const auto asked = content_words(question), said = content_words(answer);
  if (asked.empty() || said.empty()) return 0;
  return shared(asked, said) / std::sqrt(static_cast<double>(asked.size() * said.size()));
}

double numeric_agreement(Text question, Text answer) {
  const std::set<std::string_view> asked(question.numbers.begin(), question.numbers.end());
  const std::set<std::string_view> said(answer.numbers.begin(), answer.numbers.end());
  return asked.empty() ? 0 : shared(asked, said) / static_cast<double>(asked.size());
}

double refusal(Text, Text answer) {
  const std::string_view opening = std::string_view(answer.text).substr(0, kOpeningBytes);
  return std::any_of(refusal_phrases().begin(), refusal_phrases().end(), [&](const std::string& phrase) {
    return opening.find(phrase) != std::string_view::npos;
  });
}

double novelty(Text, Text answer) {
  std::set<std::string> trigrams;
  const std::vector<std::string>& words = answer.words;
  if (words.size() < 3) return 1;
  for (size_t i = 0; i + 2 < words.size(); ++i)
    trigrams.insert(words[i] + ' ' + words[i + 1] + ' ' + words[i + 2]);
  return static_cast<double>(trigrams.size()) / static_cast<double>(words.size() - 2);
}

double positivity(Text, Text answer) {
  const auto good = static_cast<double>(answer.count_words(positive_words()));
  const auto bad = static_cast<double>(answer.count_words(negative_words()));
  return (good - bad) / (good + bad + 3);
}

double specificity(Text, Text answer) {
  const auto long_words = std::count_if(answer.words.begin(), answer.words.end(),
                                        [](const std::string& word) { return word.size() >= 9; });
  return answer.per_hundred_words(static_cast<double>(answer.names + answer.numbers.size()) +
                                  0.5 * long_words);
}

double structure(Text, Text answer) {
  return answer.per_hundred_words(
      static_cast<double>(answer.list_items + 2 * answer.headings + answer.bold + answer.code_fences));
}

double reasoning(Text, Text answer) {
  return answer.per_hundred_words(
      static_cast<double>(answer.count_words(connectives()) + 2 * answer.ordered_items));
}

double emotion(Text, Text answer) {
  return answer.per_hundred_words(static_cast<double>(
      answer.count_words(positive_words()) + answer.count_words(negative_words()) + answer.exclamations));
}

template <const WordSet& (*list)()>
double density(Text, Text answer) {
  return answer.per_hundred_words(static_cast<double>(answer.count_words(list())));
}

}  // namespace

const std::vector<Measure>& measures() {
  static const std::vector<Measure> table = {
      {"lexical_richness", "distinct words / words, mean over windows of 50 words", lexical_richness},
      {"readability", "21.43 - 4.71 letters/words - 0.5 words/sentences", readability},
      {"question_overlap", "content words shared with the question / sqrt(of question * of answer)",
       question_overlap},
      {"numeric_agreement", "share of the question's numbers that the answer repeats", numeric_agreement},
      {"specificity", "names + numbers + half of the words of 9 letters and more, per 100 words",
       specificity},
      {"coherence", "connectives per 100 words", density<connectives>},
      {"reasoning", "connectives + twice the numbered steps, per 100 words", reasoning},
      {"structure", "list items + twice the headings + bold spans + code fences, per 100 words", structure},
      {"novelty", "distinct trigrams / trigrams", novelty},
      {"conciseness", "-log(1 + words)",
       [](Text, Text answer) { return -std::log1p(static_cast<double>(answer.words.size())); }},
      {"thoroughness", "log(1 + sentences)",
       [](Text, Text answer) { return std::log1p(static_cast<double>(answer.sentences)); }},
      {"certainty", "-hedges per 100 words",
       [](Text q, Text answer) { return -density<hedge_words>(q, answer); }},
      {"empathy", "words of understanding and support per 100 words", density<empathy_words>},
      {"emotion", "positive and negative words and exclamation marks per 100 words", emotion},
      {"objectivity", "-emotion", [](Text q, Text answer) { return -emotion(q, answer); }},
      {"positivity", "(positive - negative) / (positive + negative + 3) words", positivity},
      {"courtesy", "polite words per 100 words", density<courtesy_words>},
      {"proactivity", "questions + offers, at most 4",
       [](Text, Text answer) {
         return std::min(4.0, static_cast<double>(answer.questions + answer.count_phrases(offer_phrases())));
       }},
      {"caution", "words of risk, law and help per 100 words", density<caution_words>},
      {"refusal", "1 when the first 250 characters refuse, else 0", refusal},
      {"compliance", "1 - refusal", [](Text q, Text answer) { return 1 - refusal(q, answer); }},
  };
  return table;
}

const Measure* find_measure(std::string_view name) {
  for (const Measure& measure : measures())
    if (measure.name == name) return &measure;
  return nullptr;
}

}  // namespace dmoerm::label
