// What is measured: prompts with their answers as random token ids, of lengths like those of preference data.
#pragma once

#include <cstdint>
#include <vector>

#include "dmoerm/reward/packed_states.h"

namespace dmoerm::bench {

using Sequence = std::vector<int32_t>;  // prompt and answer

struct Workload {
  std::vector<std::vector<Sequence>> prompts;

  std::vector<Sequence> sequences() const;  // of all prompts, in order
  std::vector<reward::PromptSequences> spans() const;
  int64_t num_tokens() const;  // each prompt once for each of its answers
};

// Two answers a prompt. Log-normal lengths: with scale 1, prompts of median 220, answers of median 160
// tokens.
Workload draw_pairs(int64_t count, double scale, int64_t vocab_size, uint64_t seed);
Workload draw_best_of(int64_t answers, int64_t prompt_length, int64_t answer_length, int64_t vocab_size,
                      uint64_t seed);

}  // namespace dmoerm::bench
