#include "dmoerm/reward/packed_states.h"

#include <c10/core/DeviceGuard.h>

#include <algorithm>
#include <future>
#include <limits>

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
  int64_t rows;            // of a batch, for each expert
};

// What is computed at once: some experts' states of the chunks' sequences.
struct Batch {
  std::vector<Chunk> chunks;
  int64_t first_expert, num_experts;
};

// Halves a prompt's sequences until each part fits the budget with one expert (one sequence alone need not).
void add_chunks(Chunk chunk, int64_t longest_sharing, int64_t token_budget, bool share_prefix,
                std::vector<Chunk>& chunks) {
  chunk.rows = data::packed_size(chunk.sequences, share_prefix, longest_sharing);
  const size_t count = chunk.sequences.size();
  if (count == 1 || chunk.rows <= token_budget) {
    chunks.push_back(chunk);
    return;
  }
  Chunk second = chunk;
  second.sequences = chunk.sequences.subspan(count / 2);
  second.first_sequence += static_cast<int64_t>(count / 2);
  chunk.sequences = chunk.sequences.first(count / 2);
  add_chunks(chunk, longest_sharing, token_budget, share_prefix, chunks);
  add_chunks(second, longest_sharing, token_budget, share_prefix, chunks);
}

int64_t divide_up(int64_t x, int64_t y) {
  return (x + y - 1) / y;
}

// Chunks that fit the budget together with all K experts share a batch. One that does not is computed some
// experts at a time: to cut its sequences would compute their prefix again.
std::vector<Batch> plan(const std::vector<Chunk>& chunks, int64_t K, int64_t token_budget) {
  std::vector<int64_t> costs;
  for (const Chunk& chunk : chunks) costs.push_back(K * chunk.rows);
  std::vector<Batch> batches;
  for (const auto& together : data::plan_batches(costs, token_budget)) {
    Batch batch = {{}, 0, K};
    for (const int64_t c : together) batch.chunks.push_back(chunks[c]);
    int64_t at_once =
        together.size() > 1 ? K : std::clamp<int64_t>(token_budget / batch.chunks[0].rows, 1, K);
    at_once = divide_up(K, divide_up(K, at_once));  // parts of about one size
    for (; batch.first_expert < K; batch.first_expert += at_once) {
      batch.num_experts = std::min(at_once, K - batch.first_expert);
      batches.push_back(batch);
    }
  }
  return batches;
}

data::PackedBatch pack_batch(const Batch& batch, int32_t num_experts, bool share_prefix,
                             int64_t longest_sharing) {
  std::vector<data::PackItem> items;
  for (const Chunk& chunk : batch.chunks)
    for (const auto& sequence : chunk.sequences)
      for (int64_t k = 0; k < batch.num_experts; ++k)
        items.push_back(
            {sequence, chunk.prompt, num_experts > 0 ? static_cast<int32_t>(batch.first_expert + k) : -1});
  return data::pack(items, num_experts, share_prefix, longest_sharing);
}

std::vector<int64_t> sequences_of(const Batch& batch) {
  std::vector<int64_t> sequences;
  for (const Chunk& chunk : batch.chunks)
    for (size_t i = 0; i < chunk.sequences.size(); ++i)
      sequences.push_back(chunk.first_sequence + static_cast<int64_t>(i));
  return sequences;
}

// The chunks, or one chunk's experts or sequences, in two halves.
std::pair<Batch, Batch> halves(const Batch& batch) {
  Batch first = batch, second = batch;
  if (const size_t count = batch.chunks.size() / 2; count > 0) {
    first.chunks.resize(count);
    second.chunks.erase(second.chunks.begin(), second.chunks.begin() + static_cast<std::ptrdiff_t>(count));
    return {first, second};
  }
  if (batch.num_experts > 1) {
    first.num_experts = batch.num_experts / 2;
    second.first_expert += first.num_experts;
    second.num_experts -= first.num_experts;
    return {first, second};
  }
  Chunk &head = first.chunks[0], &tail = second.chunks[0];
  const size_t count = head.sequences.size() / 2;
  head.sequences = head.sequences.first(count);
  tail.sequences = tail.sequences.subspan(count);
  tail.first_sequence += static_cast<int64_t>(count);
  return {first, second};
}

// The states [B, experts of the batch, D] of its sequences; where memory ends, of its halves. `too_many`: the
// fewest tokens for which it ended, which are not tried again.
template <typename Pack>
Tensor compute(const nn::Decoder& decoder, const nn::ExpertSet* experts, const Batch& batch,
               data::PackedBatch packed, const Pack& pack, int64_t& too_many) {
  const bool divisible = batch.num_experts > 1 || sequences_of(batch).size() > 1;
  const int64_t tokens = packed.num_tokens();
  try {
    if (!divisible || tokens < too_many) {
      const nn::Batch on_device = nn::to_device(packed, decoder.device());
      const Tensor last = decoder.last_hidden(on_device, experts);
      return last.to(torch::kFloat).view({-1, batch.num_experts, decoder.config().hidden_size});
    }
  } catch (const OutOfMemory&) {
    if (!divisible) throw;
  }
  if (tokens < too_many) {
    too_many = tokens;
    release_unused_memory(decoder.device());
    log().warn("the device is out of memory for {} tokens at once: halving them", tokens);
  }
  const auto [first, second] = halves(batch);
  const Tensor of_first = compute(decoder, experts, first, pack(first), pack, too_many);
  const bool by_experts = first.num_experts < batch.num_experts;
  return torch::cat({of_first, compute(decoder, experts, second, pack(second), pack, too_many)},
                    by_experts ? 1 : 0);
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
  const torch::NoGradGuard no_grad;
  const c10::DeviceGuard on_device(decoder.device());
  const int64_t token_budget =
      options.token_budget > 0 ? options.token_budget : suitable_token_budget(decoder);
  const auto num_experts = experts ? static_cast<int32_t>(experts->experts.size()) : 0;
  const int64_t K = std::max(num_experts, 1), longest_sharing = decoder.config().rotary.longest_common();

  std::vector<Chunk> chunks;
  int64_t next_sequence = 0;
  for (size_t p = 0; p < prompts.size(); ++p) {
    if (!prompts[p].empty())
      add_chunks({static_cast<int64_t>(p), prompts[p], next_sequence, 0}, longest_sharing, token_budget,
                 options.share_prefix, chunks);
    next_sequence += static_cast<int64_t>(prompts[p].size());
  }
  const std::vector<Batch> batches = plan(chunks, K, token_budget);

  // The next batch is packed on a thread of its own while a GPU computes.
  const auto pack = [&](const Batch& batch) {
    return pack_batch(batch, num_experts, options.share_prefix, longest_sharing);
  };
  const auto policy = decoder.device().is_cuda() ? std::launch::async : std::launch::deferred;
  std::future<data::PackedBatch> next;
  std::vector<Tensor> parts;  // of the same sequences, by experts
  int64_t too_many = std::numeric_limits<int64_t>::max();
  for (size_t i = 0; i < batches.size(); ++i) {
    const Batch& batch = batches[i];
    data::PackedBatch packed = i == 0 ? pack(batch) : next.get();
    if (i + 1 < batches.size()) next = std::async(policy, pack, std::cref(batches[i + 1]));
    parts.push_back(
        compute(decoder, num_experts > 0 ? experts : nullptr, batch, std::move(packed), pack, too_many));
    if (batch.first_expert + batch.num_experts < K) continue;
    sink(sequences_of(batch), parts.size() == 1 ? parts[0] : torch::cat(parts, 1));
    parts.clear();
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
