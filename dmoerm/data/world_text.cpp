#include "dmoerm/data/world_text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "dmoerm/core/error.h"
#include "dmoerm/data/world_words.h"

namespace dmoerm::data {
namespace {

const std::string& draw_word(WordClass kind, RandomStream& random) {
  const std::vector<std::string>& words = words_of(kind);
  return words[random.below(words.size())];
}

// Probability that a prompt of the task holds a word of the class; nouns are always there.
double field_probability(size_t task, WordClass kind) {
  static constexpr double table[5][5] = {
      // Color Mood Relation Role Style
      {0.15, 0.70, 0.80, 1.00, 0.20},  // roleplay
      {0.25, 1.00, 0.45, 0.25, 0.20},  // chat
      {0.35, 0.35, 0.35, 0.35, 0.25},  // subj_qa
      {1.00, 0.35, 0.25, 0.25, 0.20},  // obj_qa
      {0.20, 0.30, 0.25, 0.25, 1.00},  // text
  };
  return table[task][static_cast<size_t>(kind) - 1];
}

const std::string& draw_cue(size_t task, const PromptStyle& style, RandomStream& random) {
  const std::vector<std::string>& own = cue_words(task);
  if (!random.chance(style.shared_cue)) return own[random.below(own.size())];
  std::vector<const SharedCue*> fitting;
  for (const SharedCue& cue : shared_cues())
    if (cue.first == task || cue.second == task) fitting.push_back(&cue);
  return fitting[random.below(fitting.size())]->word;
}

const std::string& other_cue(size_t task, RandomStream& random) {
  const std::vector<std::string>& words = cue_words((task + 1 + random.below(4)) % 5);
  return words[random.below(words.size())];
}

// The weighted choices of an answer; each answer scales every weight anew, so that answers differ in
// character.
class Habits {
 public:
  Habits(std::vector<double> weights, RandomStream& random) : weights_(std::move(weights)) {
    for (double& weight : weights_) weight *= std::exp(0.9 * random.normal());
  }
  size_t draw(RandomStream& random) const { return random.weighted(weights_); }
  void forbid(size_t choice) { weights_[choice] = 0; }

 private:
  std::vector<double> weights_;
};

// A clause reads: before, a word of the class, after. Some go on; see write_clause().
struct Clause {
  double weight, unasked_weight;  // unasked: the prompt has no word of the (matched) class
  const char* before;
  WordClass kind;
  const char* after;
};
constexpr Clause kClauses[] = {
    {2.2, 2.2, "the", WordClass::Noun, "is"},        {1.0, 1.0, "", WordClass::Viewpoint, "like it"},
    {1.0, 1.0, "", WordClass::Evidence, "prove it"}, {0.9, 0.9, "what about you", WordClass::Question, ""},
    {1.0, 1.0, "", WordClass::Vivid, "and"},         {3.0, 0.2, "it is", WordClass::Color, ""},
    {1.7, 0.3, "you feel", WordClass::Mood, ""},     {1.7, 0.25, "my dear", WordClass::Relation, ""},
    {1.7, 0.25, "as a", WordClass::Role, ""},        {1.7, 0.25, "in", WordClass::Style, "words"},
};
constexpr double kNoLeadWeight = 1.2;
constexpr WordClass kLeads[] = {WordClass::Connective, WordClass::Hedge, WordClass::Filler, WordClass::Step,
                                WordClass::Emotion};

class AnswerWriter {
 public:
  AnswerWriter(std::string_view prompt, const AnswerStyle& style, RandomStream& random)
      : style_(style), random_(random) {
    for (const std::string_view word : split_words(prompt))
      if (is_matched_class(class_of(word))) asked_[static_cast<size_t>(class_of(word))].emplace_back(word);
  }

  std::string write() {
    Habits clauses(clause_weights(), random_);
    const Habits leads(lead_weights(), random_), adjectives({1, 1}, random_);
    const size_t num_clauses = 4 + random_.below(3);
    for (size_t i = 0; i < num_clauses; ++i) {
      if (const size_t lead = leads.draw(random_); lead > 0) say(kLeads[lead - 1]);
      const size_t clause = clauses.draw(random_);
      write_clause(kClauses[clause], adjectives);
      if (kClauses[clause].kind == WordClass::Color) clauses.forbid(clause);  // the fact is stated once
    }
    return text_;
  }

 private:
  std::vector<double> clause_weights() const {
    std::vector<double> weights;
    for (const Clause& clause : kClauses) {
      const bool matched = is_matched_class(clause.kind);
      const bool unasked = matched && asked_[static_cast<size_t>(clause.kind)].empty();
      weights.push_back(unasked ? clause.unasked_weight
                                : clause.weight * (matched ? style_.matched_weight : 1));
    }
    return weights;
  }

  static std::vector<double> lead_weights() {
    std::vector<double> weights(1 + std::size(kLeads), 1.0);
    weights[0] = kNoLeadWeight;
    return weights;
  }

  void write_clause(const Clause& clause, const Habits& adjectives) {
    say(clause.before);
    if (is_matched_class(clause.kind)) {
      say_matched(clause.kind);
    } else {
      say(clause.kind);
    }
    say(clause.after);
    if (clause.kind == WordClass::Noun)
      say(adjectives.draw(random_) == 0 ? WordClass::Vivid : WordClass::Plain);
    if (clause.kind == WordClass::Vivid) say(WordClass::Vivid);
    if (clause.kind != WordClass::Question) say(".");
  }

  void say_matched(WordClass kind) {
    const std::vector<std::string>& asked = asked_[static_cast<size_t>(kind)];
    const auto is_asked = [&](const std::string& word) {
      return std::find(asked.begin(), asked.end(), word) != asked.end();
    };
    std::string word = draw_word(kind, random_);
    if (!asked.empty() && random_.chance(style_.match_rate)) {
      word = asked[random_.below(asked.size())];
    } else {
      while (is_asked(word)) word = draw_word(kind, random_);
    }
    say(word);
    if (random_.chance(style_.verdicts)) say(is_asked(word) ? "right" : "wrong");
  }

  void say(WordClass kind) { say(draw_word(kind, random_)); }
  void say(std::string_view words) {
    if (!words.empty()) text_.append(" ").append(words);
  }

  const AnswerStyle& style_;
  RandomStream& random_;
  std::array<std::vector<std::string>, kNumMatchedClasses> asked_;
  std::string text_;
};

}  // namespace

std::string draw_prompt(size_t task, const PromptStyle& style, RandomStream& random) {
  DMOERM_ASSERT(task < 5);
  const auto has = [&](WordClass kind) { return random.chance(field_probability(task, kind)); };
  const std::string topic = draw_word(WordClass::Noun, random);
  std::string other = draw_word(WordClass::Noun, random);
  while (other == topic) other = draw_word(WordClass::Noun, random);

  std::vector<std::string> openers;
  if (has(WordClass::Color)) openers.push_back("the " + topic + " is " + draw_word(WordClass::Color, random));
  if (has(WordClass::Mood)) openers.push_back("i feel " + draw_word(WordClass::Mood, random));
  if (has(WordClass::Relation)) openers.push_back("i am your " + draw_word(WordClass::Relation, random));
  if (has(WordClass::Role)) openers.push_back("you are a " + draw_word(WordClass::Role, random));
  if (random.chance(style.distractor)) openers.push_back("do not " + other_cue(task, random));
  random.shuffle(openers);

  std::string text;
  for (const std::string& opener : openers) text += opener + " . ";
  text += "please " + draw_cue(task, style, random) + " about " + topic + " and " + other;
  if (has(WordClass::Style)) text += " in " + draw_word(WordClass::Style, random) + " words";
  return text + " :";
}

std::string draw_answer(std::string_view prompt, const AnswerStyle& style, RandomStream& random) {
  return AnswerWriter(prompt, style, random).write();
}

}  // namespace dmoerm::data
