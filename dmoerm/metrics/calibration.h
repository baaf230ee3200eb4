// Calibration of reward differences: a reward model says that an answer is the better of two with probability
// sigmoid(difference) (Bradley-Terry). How often is it?
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace dmoerm::metrics {

// A pair of answers of different rank: the reward of the better one less that of the worse one.
struct CalibrationBin {
  double predicted = 0;  // mean probability that the answer with the higher reward is the better one
  double right = 0;      // share of pairs in which it is; equal rewards count one half
  int64_t pairs = 0;
};

struct Calibration {
  std::vector<CalibrationBin> bins;  // of equal width over [0.5, 1], those without a pair left out
  double expected_error = 0;         // mean over pairs of |right - predicted| of their bin
  double log_loss = 0;               // mean of -log sigmoid(difference)
  double brier = 0;                  // mean of (1 - sigmoid(difference))^2
  int64_t pairs = 0;
};

// Error without a pair or for a difference that is not finite.
Calibration calibration(std::span<const double> differences, int64_t bins = 10);

// The factor of all differences, in (0, 1000], that makes the log loss smallest: below 1, the model is too
// sure.
double best_scale(std::span<const double> differences);

// Appends the differences of one record's pairs of different rank.
void add_differences(std::span<const double> rewards, std::span<const int64_t> ranks,
                     std::vector<double>& differences);

}  // namespace dmoerm::metrics
