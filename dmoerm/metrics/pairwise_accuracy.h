// Pairwise accuracy: the share of pairs of different rank that rewards put in the right order.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace dmoerm::metrics {

// Right pairs of one record (an equal reward counts one half) and pairs in all.
struct PairCount {
  double right = 0;
  int64_t pairs = 0;
  double accuracy() const { return pairs > 0 ? right / static_cast<double>(pairs) : 0; }
};

// rank 1 is best; equal ranks make no pair. rewards and ranks have one entry an answer, the rewards finite.
PairCount count_pairs(std::span<const double> rewards, std::span<const int64_t> ranks);

// The pairs of one record with the prompt that they belong to: pairs of one prompt are not independent.
struct PromptPairs {
  uint64_t prompt = 0;
  PairCount count;
};

PairCount total(std::span<const PromptPairs> pairs);

struct Interval {
  double low = 0, high = 0;
};

// Percentile bootstrap of the accuracy over prompts (records of one prompt are drawn together), seeded.
Interval bootstrap_interval(std::span<const PromptPairs> pairs, uint64_t seed = 0, int64_t samples = 1000,
                            double coverage = 0.95);

// Share of all pairs of answers on which two reward lists agree about the order (a tie in one of them counts
// one half, in both one): how alike two judges are.
PairCount count_agreement(std::span<const double> rewards_a, std::span<const double> rewards_b);

}  // namespace dmoerm::metrics
