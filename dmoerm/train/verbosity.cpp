#include "dmoerm/train/verbosity.h"

#include <utility>
#include <vector>

#include "dmoerm/metrics/rank_correlation.h"

namespace dmoerm::train {

double verbosity_penalty(std::span<const double> rating_R, std::span<const double> length_R, double most) {
  const std::vector<double> length_ranks = metrics::average_ranks(length_R);
  std::vector<double> rest(rating_R.size());
  double sign = 1;
  // Of what is left with the length, seen so that it falls from above `most` as `size` grows.
  const auto correlation = [&](double size) {
    for (size_t i = 0; i < rest.size(); ++i) rest[i] = sign * rating_R[i] - size * length_R[i];
    return metrics::correlation(metrics::average_ranks(rest), length_ranks);
  };
  if (correlation(0) < 0) sign = -1;
  if (correlation(0) <= most) return 0;
  double low = 0, high = 1e-3;  // low: still too much; high: little enough
  while (correlation(high) > most) low = std::exchange(high, 2 * high);
  while (high - low > 1e-6 * high) {
    const double middle = (low + high) / 2;
    (correlation(middle) > most ? low : high) = middle;
  }
  return sign * high;
}

}  // namespace dmoerm::train
