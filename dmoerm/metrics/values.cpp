#include "dmoerm/metrics/values.h"

#include <cmath>

#include "dmoerm/core/error.h"

namespace dmoerm::metrics {

void check_values(std::string_view part, std::string_view name, std::span<const double> values) {
  if (values.empty()) fail(part, "no {}, expected at least one", name);
  for (size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i]))
      fail(part, "{}: number {} is {}, expected a finite number", name, i + 1, values[i]);
}

double mean_value(std::span<const double> values) {
  DMOERM_ASSERT(!values.empty());
  double sum = 0;
  for (const double value : values) sum += value - values[0];
  return values[0] + sum / static_cast<double>(values.size());
}

}  // namespace dmoerm::metrics
