#include "dmoerm/metrics/seed_statistics.h"

#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "dmoerm/core/error.h"
#include "dmoerm/metrics/values.h"

namespace dmoerm::metrics {
namespace {

using StudentsT = boost::math::students_t_distribution<double>;

}  // namespace

SeedMean seed_mean(std::span<const double> values) {
  if (values.empty()) fail("statistics", "there are no numbers, expected one for each seed");
  const auto count = static_cast<double>(values.size());
  SeedMean result;
  result.mean = mean_value(values);  // equal values have no deviation at all
  if (values.size() == 1) {
    result.interval = {NAN, NAN};
    return result;
  }
  double squares = 0;
  for (const double value : values) squares += (value - result.mean) * (value - result.mean);
  result.deviation = std::sqrt(squares / (count - 1));
  const double half =
      boost::math::quantile(StudentsT(count - 1), 0.975) * result.deviation / std::sqrt(count);
  result.interval = {result.mean - half, result.mean + half};
  return result;
}

PairedDifference paired_difference(std::span<const double> values, std::span<const double> reference) {
  DMOERM_ASSERT(values.size() == reference.size());
  std::vector<double> differences;
  for (size_t i = 0; i < values.size(); ++i) differences.push_back(values[i] - reference[i]);
  PairedDifference result{seed_mean(differences), NAN};
  if (values.size() == 1) return result;
  const auto count = static_cast<double>(values.size());
  const double error = result.difference.deviation / std::sqrt(count);
  if (error == 0) {
    result.p = result.difference.mean == 0 ? 1 : 0;
    return result;
  }
  const double t = std::abs(result.difference.mean) / error;
  result.p = 2 * boost::math::cdf(boost::math::complement(StudentsT(count - 1), t));
  return result;
}

}  // namespace dmoerm::metrics
