// Percentile bootstrap over items that are drawn with replacement, seeded.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "dmoerm/core/random.h"
#include "dmoerm/metrics/pairwise_accuracy.h"

namespace dmoerm::metrics {

// values: sorted, at least one; p in [0, 1]. Linear between order statistics, as numpy.
inline double quantile(const std::vector<double>& values, double p) {
  const double place = p * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
}

// `statistic` computes a number from the chosen items (indices below `count`, as many as there are, with
// repeats).
template <typename Statistic>
Interval bootstrap(size_t count, uint64_t seed, int64_t samples, double coverage, Statistic statistic) {
  std::vector<double> values;
  std::vector<size_t> chosen(count);
  for (int64_t sample = 0; sample < samples; ++sample) {
    RandomStream random(seed, "bootstrap", {static_cast<uint64_t>(sample)});
    for (size_t& item : chosen) item = random.below(count);
    values.push_back(statistic(chosen));
  }
  std::sort(values.begin(), values.end());
  return {quantile(values, (1 - coverage) / 2), quantile(values, (1 + coverage) / 2)};
}

}  // namespace dmoerm::metrics
