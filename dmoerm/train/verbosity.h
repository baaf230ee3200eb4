// Taking the length of answers out of a rating (ArmoRM, stage 2). R answers.
#pragma once

#include <span>

namespace dmoerm::train {

// The lambda of smallest size for which Spearman's correlation of rating - lambda * length with length is at
// most `most` in size; `length_R` standardised, so that lambda has the rating's unit. Negative where short
// answers are rated higher, 0 where the correlation is small as it is. The correlation falls with lambda,
// never rising (wherever two answers change places, the longer one goes down), so bisection finds it, up to
// 1e-6 of its size. Where answers are so few that the correlation jumps over the allowed range, the lambda
// behind the jump. All numbers finite.
double verbosity_penalty(std::span<const double> rating_R, std::span<const double> length_R,
                         double most = 0.03);

}  // namespace dmoerm::train
