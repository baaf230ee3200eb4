// The workloads.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/end_to_end/contest.h"
#include "dmoerm/nn/decoder.h"

namespace dmoerm::bench {

struct Setting {
  nn::DecoderConfig config;
  std::string model;  // a directory whose weights are used; empty: random ones of that shape
  torch::Device device = torch::kCPU;
  torch::ScalarType dtype = torch::kFloat32;
  uint64_t seed = 1;
  double lengths = 0.5;  // of pairs, over those of the peer's workload
  int64_t pairs = 64, answers = 64, prompt_length = 256, answer_length = 64;
  int64_t experts = 5, rank = 32;
  int64_t train_pairs = 8, train_steps = 1;  // pairs a step
  int64_t phase3_pairs = 8, phase3_epochs = 5;
};

std::shared_ptr<nn::Decoder> make_decoder(const Setting& setting);

Contest score_pairs(const Setting& setting);
Contest score_pairs_by_experts(const Setting& setting);
Contest score_best_of(const Setting& setting);
Contest score_experts(const Setting& setting);
Contest score_experts_together(const Setting& setting);  // against packed, one expert after another
Contest score_mixed(const Setting& setting);             // all in one call
Contest score_mixed_in_calls(const Setting& setting);    // of one task each
Contest train_whole(const Setting& setting);
Contest train_experts(const Setting& setting);  // of one task, in one pass
Contest train_aggregator(const Setting& setting);
// Its steps alone, recorded against each kernel queued by itself.
Contest train_aggregator_on_states(const Setting& setting);

}  // namespace dmoerm::bench
