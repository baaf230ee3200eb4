#include "dmoerm/label/retry.h"

#include <curl/curl.h>

#include <algorithm>
#include <cmath>

namespace dmoerm::label {
namespace {

constexpr double kDay = 24 * 3600;

}  // namespace

double retry_delay(const RetryOptions& options, int64_t failures, std::optional<double> retry_after,
                   RandomStream& random) {
  const double doubled =
      options.first_delay * std::exp2(static_cast<double>(std::min<int64_t>(failures, 60) - 1));
  const double delay = std::min(doubled, options.max_delay) * (0.5 + 0.5 * random.uniform());
  return std::max(delay, retry_after.value_or(0));
}

std::optional<double> parse_retry_after(const std::string& value, std::time_t now) {
  if (value.empty()) return std::nullopt;
  if (value.find_first_not_of("0123456789") == std::string::npos)
    return value.size() > 6 ? kDay : std::min(kDay, std::stod(value));
  const std::time_t date = curl_getdate(value.c_str(), nullptr);
  if (date == -1) return std::nullopt;
  return std::clamp(std::difftime(date, now), 0.0, kDay);
}

}  // namespace dmoerm::label
