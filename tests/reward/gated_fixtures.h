// A gated model with random heads, gate and verbosity penalties over the tiny base.
#pragma once

#include "dmoerm/reward/gated_model.h"
#include "tests/reward/reward_fixtures.h"

namespace dmoerm::reward {

inline GatedHead random_gated_head(int64_t objectives, int64_t width, uint64_t seed,
                                   const GateShape& shape = {.hidden = 12, .layers = 2, .temperature = 2}) {
  torch::manual_seed(seed);
  GatedHead head(shape,
                 {torch::randn({objectives, width}), torch::randn({objectives}),
                  0.5 * torch::randn({objectives}), 4.5, 3.25},
                 {torch::randn({width}), 0.5 + torch::rand({width}), 1.5, seed});
  for (auto& [name, value] : head.gate_parameters()) value.add_(0.4 * torch::randn_like(value));
  return head;
}

inline GatedModel tiny_gated_model(uint64_t seed = 3) {
  GatedParts parts{tiny_checkpoint(1),
                   {"logic", "empathy", "../depth of 知识"},
                   random_gated_head(3, 16, seed),
                   "chatml",
                   64,
                   text::Tokenizer::load(fixture("tokenizer-byte_level"))};
  return GatedModel(std::move(parts));
}

}  // namespace dmoerm::reward
