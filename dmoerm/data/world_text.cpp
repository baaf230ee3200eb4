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

// The weighted choices of an answer; each answer scales every weight anew, so that answers differ in character.
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

enum Clause { Topic, Viewpoint, Evidence, Question, Vivid, Color, Mood, Relation, Role, Style };
enum Lead { None, Connective, Hedge, Filler, Step, Emotion };

class AnswerWriter {
 public:
  AnswerWriter(std::string_view prompt, const AnswerStyle& style, RandomStream& random)
      : style_(style), random_(random) {
    for (const std::string_view word : split_words(prompt)) {
      const auto kind = static_cast<size_t>(class_of(word));
      if (kind < kNumMatchedClasses) asked_[kind].emplace_back(word);
    }
  }

  std::string write() {
    Habits clauses(clause_weights(), random_), leads({1.2, 1, 1, 1, 1, 1}, random_), adjectives({1, 1}, random_);
    const size_t num_clauses = 4 + random_.below(3);
    for (size_t i = 0; i < num_clauses; ++i) {
      const auto clause = static_cast<Clause>(clauses.draw(random_));
      if (clause == Color) clauses.forbid(Color);  // the fact is stated once
      write_lead(static_cast<Lead>(leads.draw(random_)));
      write_clause(clause, adjectives);
    }
    return text_;
  }

 private:
  std::vector<double> clause_weights() const {
    const auto matched = [&](WordClass kind, double asked, double unasked) {
      return asked_[static_cast<size_t>(kind)].empty() ? unasked : asked * style_.matched_weight;
    };
    return {2.2 * style_.matched_weight,     1,
            1,                               0.9,
            1,                               matched(WordClass::Color, 3.0, 0.2),
            matched(WordClass::Mood, 1.7, 0.3), matched(WordClass::Relation, 1.7, 0.25),
            matched(WordClass::Role, 1.7, 0.25), matched(WordClass::Style, 1.7, 0.25)};
  }

  void say(std::string_view words) { text_.append(" ").append(words); }
  void say(WordClass kind) { say(draw_word(kind, random_)); }

  void say_matched(WordClass kind) {
    const std::vector<std::string>& asked = asked_[static_cast<size_t>(kind)];
    std::string word = draw_word(kind, random_);
    if (!asked.empty()) {
      const bool match = random_.chance(style_.match_rate);
      const auto is_asked = [&] { return std::find(asked.begin(), asked.end(), word) != asked.end(); };
      if (match) word = asked[random_.below(asked.size())];
      else
        while (is_asked()) word = draw_word(kind, random_);
    }
    say(word);
    if (!random_.chance(style_.verdicts)) return;
    say(std::find(asked.begin(), asked.end(), word) != asked.end() ? "right" : "wrong");
  }

  void write_lead(Lead lead) {
    switch (lead) {
      case None: return;
      case Connective: return say(WordClass::Connective);
      case Hedge: return say(WordClass::Hedge);
      case Filler: return say(WordClass::Filler);
      case Step: return say(WordClass::Step);
      case Emotion: return say(WordClass::Emotion);
    }
  }

  void write_clause(Clause clause, const Habits& adjectives) {
    switch (clause) {
      case Topic:
        say("the"), say_matched(WordClass::Noun), say("is");
        say(adjectives.draw(random_) == 0 ? WordClass::Vivid : WordClass::Plain);
        break;
      case Viewpoint: say(WordClass::Viewpoint), say("like it"); break;
      case Evidence: say(WordClass::Evidence), say("prove it"); break;
      case Question: return say("what about you ?");
      case Vivid: say(WordClass::Vivid), say("and"), say(WordClass::Vivid); break;
      case Color: say("it is"), say_matched(WordClass::Color); break;
      case Mood: say("you feel"), say_matched(WordClass::Mood); break;
      case Relation: say("my dear"), say_matched(WordClass::Relation); break;
      case Role: say("as a"), say_matched(WordClass::Role); break;
      case Style: say("in"), say_matched(WordClass::Style), say("words"); break;
    }
    say(".");
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
