// A limit on requests or tokens a minute, as a token bucket. Times are seconds on any steady clock.
#pragma once

#include <algorithm>

namespace dmoerm::label {

// Holds at most one second's worth (or 1, when that is more). An amount passes once the bucket holds 1,
// and may leave a debt that is waited for: requests of any size pass, and in any minute no more than the
// limit, a second's worth and one request.
class TokenBucket {
 public:
  explicit TokenBucket(double per_minute) : rate_(per_minute / 60), capacity_(std::max(1.0, rate_)) {}

  // Seconds until something may pass; 0 for now. A limit of 0 is none.
  double wait(double now) {
    if (rate_ <= 0) return 0;
    fill(now);
    return level_ >= 1 ? 0 : (1 - level_) / rate_ + kSlack;
  }
  void take(double now, double amount) {
    if (rate_ <= 0) return;
    fill(now);
    level_ -= amount;
  }

 private:
  static constexpr double kSlack = 1e-9;
  void fill(double now) {
    if (now > last_) level_ = std::min(capacity_, level_ + (last_ < 0 ? capacity_ : (now - last_) * rate_));
    last_ = std::max(last_, now);
  }

  double rate_, capacity_;
  double level_ = 0, last_ = -1;
};

}  // namespace dmoerm::label
