#include "dmoerm/metrics/pairwise_accuracy.h"

#include <algorithm>
#include <map>

#include "dmoerm/core/error.h"
#include "dmoerm/metrics/bootstrap.h"

namespace dmoerm::metrics {
namespace {

PairCount& operator+=(PairCount& left, const PairCount& right) {
  left.right += right.right;
  left.pairs += right.pairs;
  return left;
}

int sign(double x) {
  return (x > 0) - (x < 0);
}

}  // namespace

PairCount count_pairs(std::span<const double> rewards, std::span<const int64_t> ranks) {
  DMOERM_ASSERT(rewards.size() == ranks.size());
  PairCount count;
  for (size_t i = 0; i < ranks.size(); ++i) {
    for (size_t j = 0; j < ranks.size(); ++j) {
      if (ranks[i] >= ranks[j]) continue;  // i must be the better one
      ++count.pairs;
      count.right += rewards[i] > rewards[j] ? 1 : rewards[i] == rewards[j] ? 0.5 : 0;
    }
  }
  return count;
}

PairCount total(std::span<const PromptPairs> pairs) {
  PairCount sum;
  for (const auto& one : pairs) sum += one.count;
  return sum;
}

Interval bootstrap_interval(std::span<const PromptPairs> pairs, uint64_t seed, int64_t samples,
                            double coverage) {
  std::map<uint64_t, PairCount> by_prompt;
  for (const auto& one : pairs) by_prompt[one.prompt] += one.count;
  std::vector<PairCount> prompts;
  for (const auto& [prompt, count] : by_prompt)
    if (count.pairs > 0) prompts.push_back(count);
  if (prompts.empty()) return {};

  return bootstrap(prompts.size(), seed, samples, coverage, [&](const std::vector<size_t>& chosen) {
    PairCount drawn;
    for (const size_t i : chosen) drawn += prompts[i];
    return drawn.accuracy();
  });
}

PairCount count_agreement(std::span<const double> rewards_a, std::span<const double> rewards_b) {
  DMOERM_ASSERT(rewards_a.size() == rewards_b.size());
  PairCount count;
  for (size_t i = 0; i < rewards_a.size(); ++i) {
    for (size_t j = i + 1; j < rewards_a.size(); ++j) {
      const int a = sign(rewards_a[i] - rewards_a[j]), b = sign(rewards_b[i] - rewards_b[j]);
      ++count.pairs;
      count.right += a == b ? 1 : a * b == 0 ? 0.5 : 0;
    }
  }
  return count;
}

}  // namespace dmoerm::metrics
