// Last hidden states of any number of sequences under all experts: planned into batches of a token budget,
// packed without padding, computed without gradients.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "dmoerm/nn/decoder.h"

namespace dmoerm::reward {

// The sequences of one prompt: they may share a prefix.
using PromptSequences = std::vector<std::span<const int32_t>>;

struct StatesOptions {
  int64_t token_budget = 8192;  // rows of a batch; a prompt above it is computed in chunks, its prefix again
  bool share_prefix = true;
  std::function<void(int64_t num_sequences)> on_batch;  // called after each batch, for progress
};

// -> [R, K, D] float32 on the decoder's device, R over all prompts' sequences in the order given. K is the number
// of experts, or 1 for the base alone (experts null or empty).
Tensor packed_states(const nn::Decoder& decoder, const nn::ExpertSet* experts,
                     std::span<const PromptSequences> prompts, const StatesOptions& options = {});

}  // namespace dmoerm::reward
