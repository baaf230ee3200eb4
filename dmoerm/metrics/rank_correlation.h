// Spearman's rank correlation, ties by their mean rank.
#pragma once

#include <span>
#include <vector>

namespace dmoerm::metrics {

// 1 for the smallest value; equal values share the mean of their ranks.
std::vector<double> average_ranks(std::span<const double> values);

// Pearson's correlation; 0 where one of the lists is constant (or empty).
double correlation(std::span<const double> x, std::span<const double> y);

// The correlation of the average ranks.
double rank_correlation(std::span<const double> x, std::span<const double> y);

}  // namespace dmoerm::metrics
