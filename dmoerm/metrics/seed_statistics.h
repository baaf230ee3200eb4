// Means over the seeds of a study, and differences between two methods on the same seeds.
#pragma once

#include <span>

#include "dmoerm/metrics/pairwise_accuracy.h"

namespace dmoerm::metrics {

struct SeedMean {
  double mean = 0;
  double deviation = 0;  // sample deviation; 0 for one seed
  Interval interval;     // 95% of the mean, by Student's t; NaN for one seed
};

// Error without a number.
SeedMean seed_mean(std::span<const double> values);

struct PairedDifference {
  SeedMean difference;  // of method less reference, seed by seed
  double p = 1;         // two-sided, Student's t; NaN for one seed; 0 or 1 where the differences do not vary
};

// values[i] and reference[i] are of the same seed.
PairedDifference paired_difference(std::span<const double> values, std::span<const double> reference);

}  // namespace dmoerm::metrics
