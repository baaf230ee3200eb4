#include "dmoerm/reward/sequence_scores.h"

namespace dmoerm::reward {

std::vector<double> to_doubles(const Tensor& values) {
  const Tensor wide = values.to(torch::kCPU, torch::kDouble).contiguous();
  return {wide.data_ptr<double>(), wide.data_ptr<double>() + wide.numel()};
}

SequenceScores score_sequences(const InnerModel& inner, std::span<const PromptSequences> prompts,
                               const StatesOptions& options) {
  size_t R = 0;
  for (const auto& prompt : prompts) R += prompt.size();
  SequenceScores scores{std::vector<double>(R), {}};
  scores.experts.assign(inner.experts.size(), std::vector<double>(R));
  const auto experts = inner.expert_set();
  for_each_states(inner.decoder(), &experts, prompts, options,
                  [&](const auto& sequences, const Tensor& z_BKD) {
                    const auto rewards = to_doubles(inner.raw_rewards(z_BKD));
                    const auto by_expert = to_doubles(inner.expert_scores(z_BKD).t());
                    for (size_t i = 0; i < sequences.size(); ++i) {
                      scores.rewards[sequences[i]] = rewards[i];
                      for (size_t k = 0; k < scores.experts.size(); ++k)
                        scores.experts[k][sequences[i]] = by_expert[k * sequences.size() + i];
                    }
                  });
  return scores;
}

}  // namespace dmoerm::reward
