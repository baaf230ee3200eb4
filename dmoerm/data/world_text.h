// The grammar of the synthetic world: how prompts and answers are drawn.
#pragma once

#include <string>
#include <string_view>

#include "dmoerm/core/random.h"

namespace dmoerm::data {

struct PromptStyle {
  double shared_cue = 0, distractor = 0;
};
std::string draw_prompt(size_t task, const PromptStyle& style, RandomStream& random);

struct AnswerStyle {
  double match_rate = 0.5;    // how often a word of a matched class is the prompt's own
  double matched_weight = 1;  // factor on the weights of clauses with matched words: dense text
  double verdicts = 0;        // share of matched words that "right" or "wrong" follows
};
std::string draw_answer(std::string_view prompt, const AnswerStyle& style, RandomStream& random);

}  // namespace dmoerm::data
