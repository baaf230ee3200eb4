// Scores of many sequences by one inner model.
#pragma once

#include <span>
#include <vector>

#include "dmoerm/reward/inner_model.h"
#include "dmoerm/reward/packed_states.h"

namespace dmoerm::reward {

// By sequence, numbered over all prompts' sequences in the order given.
struct SequenceScores {
  std::vector<double> rewards;               // [R], raw
  std::vector<std::vector<double>> experts;  // [K][R]; K = 0 without experts
};

SequenceScores score_sequences(const InnerModel& inner, std::span<const PromptSequences> prompts,
                               const StatesOptions& options = {});

std::vector<double> to_doubles(const Tensor& values);

}  // namespace dmoerm::reward
