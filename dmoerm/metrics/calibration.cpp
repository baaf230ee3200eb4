#include "dmoerm/metrics/calibration.h"

#include <algorithm>
#include <cmath>

#include "dmoerm/core/error.h"
#include "dmoerm/metrics/values.h"

namespace dmoerm::metrics {
namespace {

constexpr double kLargestScale = 1000;

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

// -log sigmoid(x), without overflow.
double log_loss(double x) {
  return x > 0 ? std::log1p(std::exp(-x)) : -x + std::log1p(std::exp(x));
}

}  // namespace

Calibration calibration(std::span<const double> differences, int64_t num_bins) {
  check_values("calibration", "differences", differences);
  Calibration result;
  result.pairs = std::ssize(differences);
  const auto count = static_cast<double>(differences.size());
  std::vector<CalibrationBin> bins(num_bins);
  for (const double difference : differences) {
    result.log_loss += log_loss(difference) / count;
    result.brier += std::pow(1 - sigmoid(difference), 2) / count;
    const double predicted = sigmoid(std::abs(difference));
    const auto place = static_cast<int64_t>((predicted - 0.5) * 2 * static_cast<double>(num_bins));
    CalibrationBin& bin = bins[std::min(place, num_bins - 1)];
    bin.predicted += predicted;
    bin.right += difference > 0 ? 1 : difference == 0 ? 0.5 : 0;
    ++bin.pairs;
  }
  for (CalibrationBin& bin : bins) {
    if (bin.pairs == 0) continue;
    result.expected_error += std::abs(bin.right - bin.predicted) / count;
    bin.predicted /= static_cast<double>(bin.pairs);
    bin.right /= static_cast<double>(bin.pairs);
    result.bins.push_back(bin);
  }
  return result;
}

double best_scale(std::span<const double> differences) {
  check_values("calibration", "differences", differences);
  // The loss is convex in the scale: its slope has one change of sign.
  const auto slope = [&](double scale) {
    double sum = 0;
    for (const double difference : differences) sum -= difference * sigmoid(-scale * difference);
    return sum;
  };
  double low = 0, high = kLargestScale;
  if (slope(high) < 0) return high;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (slope(middle) < 0 ? low : high) = middle;
  }
  return high;
}

void add_differences(std::span<const double> rewards, std::span<const int64_t> ranks,
                     std::vector<double>& differences) {
  DMOERM_ASSERT(rewards.size() == ranks.size());
  for (size_t i = 0; i < ranks.size(); ++i)
    for (size_t j = 0; j < ranks.size(); ++j)
      if (ranks[i] < ranks[j]) differences.push_back(rewards[i] - rewards[j]);
}

}  // namespace dmoerm::metrics
