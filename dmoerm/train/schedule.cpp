#include "dmoerm/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace dmoerm::train {

double schedule_factor(const Schedule& schedule, int64_t step, int64_t total) {
  const double warmup = schedule.warmup_share * static_cast<double>(total);
  const double done = static_cast<double>(step);
  if (done + 1 < warmup) return (done + 1) / warmup;
  if (schedule.kind == "constant") return 1;
  const double span = std::max(1.0, static_cast<double>(total) - 1 - warmup);
  const double progress = std::clamp((done - warmup) / span, 0.0, 1.0);
  const double falling =
      schedule.kind == "cosine" ? 0.5 * (1 + std::cos(std::numbers::pi * progress)) : 1 - progress;
  return schedule.final_share + (1 - schedule.final_share) * falling;
}

}  // namespace dmoerm::train
