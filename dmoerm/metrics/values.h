// What the statistics of this folder share: the check of their input, and a mean that is exact for equal
// values.
#pragma once

#include <limits>
#include <span>
#include <string_view>

namespace dmoerm::metrics {

inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Error for no values at all and for the first that is not finite. `name` says what they are: "rewards", …
void check_values(std::string_view part, std::string_view name, std::span<const double> values);

// Equal values have exactly that value as their mean, so that their variance is exactly zero.
double mean_value(std::span<const double> values);

}  // namespace dmoerm::metrics
