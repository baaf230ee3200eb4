#include "dmoerm/reward/packed_states.h"

#include <algorithm>
#include <future>

#include "dmoerm/core/device_copy.h"
#include "dmoerm/core/device_memory.h"
#include "dmoerm/core/error.h"
#include "dmoerm/core/log.h"
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
void add_chunks(Chunk chunk, int64_t num_experts, int64_t longest_sharing, int64_t token_budget,
                bool share_prefix, std::vector<Chunk>& chunks) {
  chunk.cost = num_experts * data::packed_size(chunk.sequences, share_prefix, longest_sharing);
  const size_t count = chunk.sequences.size();
  if (count == 1 || chunk.cost <= token_budget) {
    chunks.push_back(chunk);
    return;
  }
  Chunk second = chunk;
  second.sequences = chunk.sequences.subspan(count / 2);
  second.first_sequence += static_cast<int64_t>(count / 2);
  chunk.sequences = chunk.sequences.first(count / 2);
  add_chunks(chunk, num_experts, longest_sharing, token_budget, share_prefix, chunks);
  add_chunks(second, num_experts, longest_sharing, token_budget, share_prefix, chunks);
}

data::PackedBatch pack_chunks(const std::vector<Chunk>& chunks, int32_t num_experts, bool share_prefix,
                              int64_t longest_sharing) {
  std::vector<data::PackItem> items;
  for (const Chunk& chunk : chunks)
    for (const auto& sequence : chunk.sequences)
      for (int32_t k = 0; k < std::max(num_experts, 1); ++k)
        items.push_back({sequence, chunk.prompt, num_experts > 0 ? k : -1});
  return data::pack(items, num_experts, share_prefix, longest_sharing);
}

// The chunks, or one chunk's sequences, in two halves.
std::pair<std::vector<Chunk>, std::vector<Chunk>> halves(const std::vector<Chunk>& chunks) {
  if (chunks.size() > 1) {
    const auto middle = chunks.begin() + static_cast<std::ptrdiff_t>(chunks.size() / 2);
    return {{chunks.begin(), middle}, {middle, chunks.end()}};
  }
  Chunk first = chunks.front(), second = first;
  const size_t count = first.sequences.size() / 2;
  first.sequences = first.sequences.first(count);
  second.sequences = second.sequences.subspan(count);
  second.first_sequence += static_cast<int64_t>(count);
  return {{first}, {second}};
}

// One batch; where memory ends, its halves.
template <typename Pack>
void compute(const nn::Decoder& decoder, const nn::ExpertSet* experts, const std::vector<Chunk>& chunks,
             data::PackedBatch packed, const Pack& pack, const StatesSink& sink) {
  const int64_t K = experts ? std::max<int64_t>(1, static_cast<int64_t>(experts->experts.size())) : 1;
  std::vector<int64_t> sequences;
  for (const Chunk& chunk : chunks)
    for (size_t i = 0; i < chunk.sequences.size(); ++i)
      sequences.push_back(chunk.first_sequence + static_cast<int64_t>(i));
  try {
    const nn::Batch batch = nn::to_device(packed, decoder.device());
    const Tensor last =
        decoder.last_hidden(batch, K > 1 || !batch.expert_offsets.empty() ? experts : nullptr);
    return sink(sequences, last.to(torch::kFloat).view({-1, K, decoder.config().hidden_size}));
  } catch (const OutOfMemory&) {
    if (sequences.size() < 2) throw;
  }
  release_unused_memory(decoder.device());
  log().warn("the device is out of memory for {} tokens at once: halving them", packed.num_tokens());
  const auto [first, second] = halves(chunks);
  compute(decoder, experts, first, pack(first), pack, sink);
  compute(decoder, experts, second, pack(second), pack, sink);
}

// On a GPU as many rows as fill it, where they fit a quarter of what is free.
int64_t suitable_token_budget(const nn::Decoder& decoder) {
  if (!decoder.device().is_cuda()) return 8192;
  const int64_t row = decoder.config().values_kept_of_a_row() *
                      static_cast<int64_t>(decoder.weights().begin()->second.element_size());
  return std::clamp<int64_t>(free_device_memory(decoder.device()) / 4 / row, 1024, 65536);
}

}  // namespace

void for_each_states(const nn::Decoder& decoder, const nn::ExpertSet* experts,
                     std::span<const PromptSequences> prompts, const StatesOptions& options,
                     const StatesSink& sink) {
  torch::NoGradGuard no_grad;
  const int64_t token_budget =
      options.token_budget > 0 ? options.token_budget : suitable_token_budget(decoder);
  const auto num_experts = experts ? static_cast<int32_t>(experts->experts.size()) : 0;
  const int64_t K = std::max(num_experts, 1), longest_sharing = decoder.config().rotary.longest_common();

  std::vector<Chunk> chunks;
  int64_t next_sequence = 0;
  for (size_t p = 0; p < prompts.size(); ++p) {
    if (!prompts[p].empty())
      add_chunks({static_cast<int64_t>(p), prompts[p], next_sequence, 0}, K, longest_sharing, token_budget,
                 options.share_prefix, chunks);
    next_sequence += static_cast<int64_t>(prompts[p].size());
  }
  std::vector<int64_t> costs;
  for (const auto& chunk : chunks) costs.push_back(chunk.cost);
  std::vector<std::vector<Chunk>> batches;
  for (const auto& batch : data::plan_batches(costs, token_budget)) {
    batches.emplace_back();
    for (const int64_t c : batch) batches.back().push_back(chunks[c]);
  }

  // The next batch is packed on a thread of its own while a GPU computes.
  const auto pack = [&](const std::vector<Chunk>& batch) {
    return pack_chunks(batch, num_experts, options.share_prefix, longest_sharing);
  };
  const auto policy = decoder.device().is_cuda() ? std::launch::async : std::launch::deferred;
  std::future<data::PackedBatch> next;
  for (size_t i = 0; i < batches.size(); ++i) {
    data::PackedBatch packed = i == 0 ? pack(batches[i]) : next.get();
    if (i + 1 < batches.size()) next = std::async(policy, pack, std::cref(batches[i + 1]));
    compute(decoder, experts, batches[i], std::move(packed), pack, sink);
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
