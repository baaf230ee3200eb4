// A synthetic preference world in plain English words: the five tasks of the DMoERM paper, with prompts,
// answers whose quality in each capability point can be computed from the text, a gold reward, and noisy
// human ranks. Tasks weigh the same words with opposite signs, so that one model for all tasks is disturbed.
// See docs/world.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dmoerm/data/preference_record.h"
#include "dmoerm/data/task_points.h"
#include "dmoerm/data/world_words.h"

namespace dmoerm::data {

struct WorldOptions {
  uint64_t seed = 1;
  // Deviation of what is added to gold (deviation 1 within a task) before people rank: 1.4 makes about 70% of
  // their pairs agree with gold.
  double human_noise = 1.4;
  double shared_cue = 0.04;  // share of prompts whose verb fits two tasks
  double distractor = 0.1;   // share of prompts that also name a verb of another task ("do not chat")
  // 1: each task has a gold reward of its own; 0: all have the same, the mean of theirs; between, a mixture.
  double conflict = 1;
};

// Everything drawn is a function of (seed, purpose, index); gold is one function, the same for every seed.
// A task is an index into paper_tasks(). Prompts and answers are raw text: an answer begins with a space and
// continues the prompt.
class World {
 public:
  explicit World(WorldOptions options = {});

  const std::vector<TaskPoints>& tasks() const { return paper_tasks(); }
  const WorldOptions& options() const { return options_; }

  std::string make_prompt(size_t task, std::string_view purpose, uint64_t index) const;
  // Answer number `number` to a prompt: its distribution depends on the prompt's text, never on the task.
  std::string make_answer(std::string_view prompt, std::string_view purpose, uint64_t index,
                          uint64_t number) const;

  // True qualities of any text as an answer, in the order of the task's points; standardised: mean 0 and
  // deviation 1 over the task's own answers.
  std::vector<double> capabilities(size_t task, std::string_view prompt, std::string_view answer) const;
  // One point unstandardised: a formula over word counts, the same in every task that has the point.
  // Error for a point that the world does not have.
  static double quality(const std::string& point, std::string_view prompt, std::string_view answer);
  // The true reward, mean 0 and deviation 1 over the task's own answers.
  double gold(size_t task, std::string_view prompt, std::string_view answer) const;

  // A ranked list of answers. Human: ranked by gold + human_noise * N(0, 1). Exact: by gold, equal gold is a
  // tie.
  PreferenceRecord human_list(size_t task, std::string_view purpose, uint64_t index,
                              size_t answers = 4) const;
  PreferenceRecord exact_list(size_t task, std::string_view purpose, uint64_t index,
                              size_t answers = 4) const;

  // A text for training a base: a prompt and an answer that repeats many of the prompt's words. Half of the
  // answer's words of matched classes are followed by "right" (the prompt has the word) or "wrong".
  std::string pretraining_text(uint64_t index) const;

 private:
  struct Scale {
    double mean = 0, deviation = 1;
    double apply(double value) const { return (value - mean) / deviation; }
    template <typename Items, typename Value>
    static Scale of(const Items& items, const Value& value);
  };
  PreferenceRecord ranked_list(size_t task, std::string_view purpose, uint64_t index, size_t answers,
                               double noise) const;
  void calibrate();
  std::vector<double> capabilities(size_t task, const AnswerCounts& counts) const;
  double own_gold(size_t task, const AnswerCounts& counts) const;    // standardised over the task's answers
  double mixed_gold(size_t task, const AnswerCounts& counts) const;  // not standardised

  WorldOptions options_;
  std::vector<std::vector<Scale>> point_scale_;  // [task][point]
  std::vector<Scale> gold_scale_;                // [task]
  std::vector<Scale> mixed_scale_;               // [task]
};

}  // namespace dmoerm::data
