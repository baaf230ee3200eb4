#include "dmoerm/metrics/best_of_n.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "dmoerm/core/error.h"
#include "dmoerm/metrics/bootstrap.h"
#include "dmoerm/metrics/values.h"

namespace dmoerm::metrics {
namespace {

constexpr int64_t kBootstrapSamples = 1000;

// log(k!) for k = 0 … most.
std::vector<double> log_factorials(size_t most) {
  std::vector<double> result(most + 1, 0);
  for (size_t k = 1; k <= most; ++k) result[k] = result[k - 1] + std::log(static_cast<double>(k));
  return result;
}

void check_pool(std::span<const double> proxy, std::span<const double> value) {
  check_values("best-of-n", "rewards", proxy);
  check_values("best-of-n", "values", value);
  if (proxy.size() != value.size())
    fail("best-of-n", "{} rewards and {} values, expected as many", proxy.size(), value.size());
}

// The values in ascending order of proxy, those of equal proxy replaced by their mean.
std::vector<double> by_rank(std::span<const double> proxy, std::span<const double> value) {
  std::vector<size_t> order(proxy.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, [&](size_t a, size_t b) { return proxy[a] < proxy[b]; });
  std::vector<double> sorted(order.size());
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin;
    double sum = 0;
    for (; end < order.size() && proxy[order[end]] == proxy[order[begin]]; ++end) sum += value[order[end]];
    std::fill(sorted.begin() + begin, sorted.begin() + end, sum / static_cast<double>(end - begin));
    begin = end;
  }
  return sorted;
}

// One mean over prompts of the values in `rows` with its band.
std::pair<double, Interval> mean_with_band(const std::vector<std::vector<double>>& rows, size_t column,
                                           uint64_t seed) {
  const auto mean = [&](const std::vector<size_t>& chosen) {
    double sum = 0;
    for (const size_t i : chosen) sum += rows[i][column];
    return sum / static_cast<double>(chosen.size());
  };
  std::vector<size_t> all(rows.size());
  std::iota(all.begin(), all.end(), 0);
  return {mean(all), bootstrap(rows.size(), seed, kBootstrapSamples, 0.95, mean)};
}

}  // namespace

std::vector<double> best_of_n_values(std::span<const double> proxy, std::span<const double> value,
                                     std::span<const int64_t> n) {
  check_pool(proxy, value);
  const auto count = static_cast<int64_t>(proxy.size());
  const std::vector<double> sorted = by_rank(proxy, value), log_factorial = log_factorials(proxy.size());
  const auto log_choose = [&](int64_t from, int64_t k) {
    return log_factorial[from] - log_factorial[k] - log_factorial[from - k];
  };
  std::vector<double> result;
  for (const int64_t drawn : n) {
    if (drawn < 1 || drawn > count) fail("best-of-n", "n is {}, expected 1 to {} answers", drawn, count);
    double expected = 0;
    for (int64_t rank = drawn; rank <= count; ++rank)  // the lower ones are never the best of n
      expected += sorted[rank - 1] * std::exp(log_choose(rank - 1, drawn - 1) - log_choose(count, drawn));
    result.push_back(expected);
  }
  return result;
}

double best_of_n_kl(int64_t n) {
  const auto count = static_cast<double>(n);
  return std::log(count) - (count - 1) / count;
}

std::vector<int64_t> best_of_n_schedule(int64_t most) {
  std::vector<int64_t> result;
  for (int64_t power = 1; power <= most; power *= 2) {
    result.push_back(power);
    if (power > 1 && power + power / 2 <= most) result.push_back(power + power / 2);
  }
  if (!result.empty() && result.back() != most) result.push_back(most);
  return result;
}

std::vector<BestOfNPoint> best_of_n_curve(std::span<const AnswerPool> pools, uint64_t seed) {
  if (pools.empty()) fail("best-of-n", "there are no prompts, expected at least one");
  size_t smallest = pools[0].proxy.size();
  for (const AnswerPool& pool : pools) smallest = std::min(smallest, pool.proxy.size());
  const bool has_gold = std::ranges::all_of(pools, [](const AnswerPool& pool) { return !pool.gold.empty(); });
  const std::vector<int64_t> schedule = best_of_n_schedule(static_cast<int64_t>(smallest));
  std::vector<std::vector<double>> proxy, gold;  // [prompt][n]
  for (const AnswerPool& pool : pools) {
    proxy.push_back(best_of_n_values(pool.proxy, pool.proxy, schedule));
    if (has_gold) gold.push_back(best_of_n_values(pool.proxy, pool.gold, schedule));
  }
  std::vector<BestOfNPoint> curve;
  for (size_t i = 0; i < schedule.size(); ++i) {
    BestOfNPoint point{schedule[i], best_of_n_kl(schedule[i]), 0, kNaN, {}, {kNaN, kNaN}};
    std::tie(point.proxy, point.proxy_band) = mean_with_band(proxy, i, seed);
    if (has_gold) std::tie(point.gold, point.gold_band) = mean_with_band(gold, i, seed);
    curve.push_back(point);
  }
  return curve;
}

}  // namespace dmoerm::metrics
