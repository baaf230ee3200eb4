// Best-of-n: what the answer is worth that a reward model prefers among n, from more answers than n by the
// unbiased estimator of Nakano et al. (2021).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dmoerm/metrics/pairwise_accuracy.h"

namespace dmoerm::metrics {

// Expected `value` of the answer with the highest `proxy` among n drawn without replacement, for each n.
// Exact: the answer of ascending rank i among N is preferred with probability C(i-1, n-1) / C(N, n), computed
// in log space; answers of equal proxy are preferred equally often. Error for lists of different lengths,
// numbers that are not finite, and n outside [1, N].
std::vector<double> best_of_n_values(std::span<const double> proxy, std::span<const double> value,
                                     std::span<const int64_t> n);

// KL divergence of best-of-n from the policy that answers, in nats: log n - (n - 1) / n.
double best_of_n_kl(int64_t n);

// 1, 2, 3, 4, 6, 8, 12, 16, … and `most`.
std::vector<int64_t> best_of_n_schedule(int64_t most);

// One prompt's answers.
struct AnswerPool {
  uint64_t prompt = 0;
  std::vector<double> proxy, gold;  // gold: empty where it is not known
};

struct BestOfNPoint {
  int64_t n = 0;
  double kl = 0;
  double proxy = 0, gold = 0;      // means over prompts; gold is NaN where it is not known for every pool
  Interval proxy_band, gold_band;  // 95%, by bootstrap over prompts
};

// For n up to the smallest pool's size. Error without a pool.
std::vector<BestOfNPoint> best_of_n_curve(std::span<const AnswerPool> pools, uint64_t seed = 0);

}  // namespace dmoerm::metrics
