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
  // Rows of a batch. A prompt above it is computed by fewer experts at a time, and if one is too many, in
  // chunks, its prefix again. 0: what suits the device. Where memory ends, a batch is halved.
  int64_t token_budget = 0;
  bool share_prefix = true;
};

// Called for every batch with the sequences in it, numbered over all prompts' sequences in the order given,
// and their states z_BKD [B, K, D] float32 on the decoder's device.
using StatesSink = std::function<void(const std::vector<int64_t>& sequences, const Tensor& z_BKD)>;

// K is the number of experts, or 1 for the base alone (experts null or empty).
void for_each_states(const nn::Decoder& decoder, const nn::ExpertSet* experts,
                     std::span<const PromptSequences> prompts, const StatesOptions& options,
                     const StatesSink& sink);

// All of them at once: [R, K, D], R over all prompts' sequences in the order given.
Tensor packed_states(const nn::Decoder& decoder, const nn::ExpertSet* experts,
                     std::span<const PromptSequences> prompts, const StatesOptions& options = {});

}  // namespace dmoerm::reward
