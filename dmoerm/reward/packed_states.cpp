#include "dmoerm/reward/packed_states.h"

#include "dmoerm/core/device_copy.h"
#include "dmoerm/core/error.h"
#include "dmoerm/data/packing.h"

namespace dmoerm::reward {
namespace {

// Sequences that are computed in one batch: some or all of one prompt's.
struct Chunk {
  int64_t prompt;
  std::span<const std::span<const int32_t>> sequences;
  int64_t first_sequence;  // its number over all prompts
  int64_t cost;            // rows of a batch
};

// Halves a prompt's sequences until each part fits the budget (one sequence alone need not).
void add_chunks(Chunk chunk, int64_t num_experts, int64_t longest_sharing, const StatesOptions& options,
                std::vector<Chunk>& chunks) {
  chunk.cost = num_experts * data::packed_size(chunk.sequences, options.share_prefix, longest_sharing);
  const size_t count = chunk.sequences.size();
  if (count == 1 || chunk.cost <= options.token_budget) {
    chunks.push_back(chunk);
    return;
  }
  Chunk second = chunk;
  second.sequences = chunk.sequences.subspan(count / 2);
  second.first_sequence += static_cast<int64_t>(count / 2);
  chunk.sequences = chunk.sequences.first(count / 2);
  add_chunks(chunk, num_experts, longest_sharing, options, chunks);
  add_chunks(second, num_experts, longest_sharing, options, chunks);
}

}  // namespace

void for_each_states(const nn::Decoder& decoder, const nn::ExpertSet* experts,
                     std::span<const PromptSequences> prompts, const StatesOptions& options,
                     const StatesSink& sink) {
  torch::NoGradGuard no_grad;
  const auto num_experts = experts ? static_cast<int32_t>(experts->experts.size()) : 0;
  const int64_t K = std::max(num_experts, 1), longest_sharing = decoder.config().rotary.longest_common();

  std::vector<Chunk> chunks;
  int64_t next_sequence = 0;
  for (size_t p = 0; p < prompts.size(); ++p) {
    if (!prompts[p].empty())
      add_chunks({static_cast<int64_t>(p), prompts[p], next_sequence, 0}, K, longest_sharing, options,
                 chunks);
    next_sequence += static_cast<int64_t>(prompts[p].size());
  }
  std::vector<int64_t> costs;
  for (const auto& chunk : chunks) costs.push_back(chunk.cost);

  for (const auto& batch_chunks : data::plan_batches(costs, options.token_budget)) {
    std::vector<data::PackItem> items;
    std::vector<int64_t> sequences;
    for (const int64_t c : batch_chunks) {
      for (size_t i = 0; i < chunks[c].sequences.size(); ++i) {
        sequences.push_back(chunks[c].first_sequence + static_cast<int64_t>(i));
        for (int32_t k = 0; k < K; ++k)
          items.push_back({chunks[c].sequences[i], chunks[c].prompt, num_experts > 0 ? k : -1});
      }
    }
    const auto batch = nn::to_device(data::pack(items, num_experts, options.share_prefix, longest_sharing),
                                     decoder.device());
    const Tensor last = decoder.last_hidden(batch, num_experts > 0 ? experts : nullptr);
    sink(sequences, last.to(torch::kFloat).view({-1, K, decoder.config().hidden_size}));
  }
}

Tensor packed_states(const nn::Decoder& decoder, const nn::ExpertSet* experts,
                     std::span<const PromptSequences> prompts, const StatesOptions& options) {
  int64_t R = 0;
  for (const auto& prompt : prompts) R += static_cast<int64_t>(prompt.size());
  const int64_t K = experts ? std::max<int64_t>(1, static_cast<int64_t>(experts->experts.size())) : 1;
  Tensor z_RKD = torch::empty({R, K, decoder.config().hidden_size},
                              torch::dtype(torch::kFloat).device(decoder.device()));
  for_each_states(decoder, experts, prompts, options, [&](const auto& sequences, const Tensor& z_BKD) {
    z_RKD.index_copy_(0, copy_to_device(sequences, z_RKD.device()), z_BKD);
  });
  return z_RKD;
}

}  // namespace dmoerm::reward
