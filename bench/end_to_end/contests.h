// The workloads.
#pragma once

#include <vector>

#include "bench/end_to_end/contest.h"
#include "dmoerm/nn/decoder.h"

namespace dmoerm::bench {

struct Setting {
  nn::DecoderConfig config;
  uint64_t seed = 1;
  int64_t pairs = 64, answers = 64, prompt_length = 256, answer_length = 64;
  int64_t experts = 5, rank = 32;
  int64_t train_pairs = 8, phase3_pairs = 8, phase3_epochs = 5;
};

Contest score_pairs(const Setting& setting);
Contest score_best_of(const Setting& setting);
Contest score_experts(const Setting& setting);
Contest score_experts_together(const Setting& setting);  // against packed, one expert after another
Contest train_whole(const Setting& setting);
Contest train_lora(const Setting& setting);
Contest train_aggregator(const Setting& setting);

}  // namespace dmoerm::bench
