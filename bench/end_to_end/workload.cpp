#include "bench/end_to_end/workload.h"

#include <algorithm>
#include <cmath>

#include "dmoerm/core/random.h"

namespace dmoerm::bench {
namespace {

void append_tokens(Sequence& sequence, int64_t count, int64_t vocab_size, RandomStream& random) {
  for (int64_t i = 0; i < count; ++i) sequence.push_back(static_cast<int32_t>(random.below(vocab_size)));
}

int64_t draw_length(double median, double low, double high, RandomStream& random) {
  return static_cast<int64_t>(std::clamp(median * std::exp(0.6 * random.normal()), low, high));
}

std::vector<Sequence> draw_prompt(int64_t prompt_length, const std::vector<int64_t>& answer_lengths,
                                  int64_t vocab_size, RandomStream& random) {
  Sequence prompt;
  append_tokens(prompt, prompt_length, vocab_size, random);
  std::vector<Sequence> sequences(answer_lengths.size(), prompt);
  for (size_t i = 0; i < sequences.size(); ++i)
    append_tokens(sequences[i], answer_lengths[i], vocab_size, random);
  return sequences;
}

}  // namespace

std::vector<Sequence> Workload::sequences() const {
  std::vector<Sequence> all;
  for (const auto& prompt : prompts) all.insert(all.end(), prompt.begin(), prompt.end());
  return all;
}

std::vector<reward::PromptSequences> Workload::spans() const {
  std::vector<reward::PromptSequences> result;
  for (const auto& prompt : prompts) result.emplace_back(prompt.begin(), prompt.end());
  return result;
}

int64_t Workload::num_tokens() const {
  int64_t count = 0;
  for (const auto& prompt : prompts)
    for (const Sequence& sequence : prompt) count += static_cast<int64_t>(sequence.size());
  return count;
}

Workload draw_pairs(int64_t count, double scale, int64_t vocab_size, uint64_t seed) {
  RandomStream random(seed, "pairs");
  Workload workload;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t prompt = draw_length(220 * scale, 32 * scale, 1024 * scale, random);
    const int64_t first = draw_length(160 * scale, 16 * scale, 768 * scale, random);
    const int64_t second = draw_length(160 * scale, 16 * scale, 768 * scale, random);
    workload.prompts.push_back(draw_prompt(prompt, {first, second}, vocab_size, random));
  }
  return workload;
}

Workload draw_best_of(int64_t answers, int64_t prompt_length, int64_t answer_length, int64_t vocab_size,
                      uint64_t seed) {
  RandomStream random(seed, "best of n");
  const std::vector<int64_t> lengths(answers, answer_length);
  return {{draw_prompt(prompt_length, lengths, vocab_size, random)}};
}

}  // namespace dmoerm::bench
