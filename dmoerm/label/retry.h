// When a request that failed is sent again.
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>

#include "dmoerm/core/random.h"

namespace dmoerm::label {

struct RetryOptions {
  int64_t attempts = 10;
  double first_delay = 0.5, max_delay = 60;  // seconds
};

// Seconds to wait after `failures` failed attempts (from 1): first_delay doubled each time up to max_delay,
// of which a random part between a half and all; never less than what the server asked for.
double retry_delay(const RetryOptions& options, int64_t failures, std::optional<double> retry_after,
                   RandomStream& random);

// The header's seconds or HTTP date (RFC 9110, section 10.2.3) as seconds from `now`, between 0 and a day;
// nothing for any other text.
std::optional<double> parse_retry_after(const std::string& value, std::time_t now);

}  // namespace dmoerm::label
