// Learning-rate schedules.
#pragma once

#include <cstdint>
#include <string>

namespace dmoerm::train {

struct Schedule {
  std::string kind = "linear";  // after the warm-up: "linear" or "cosine" to `final_share`, or "constant"
  double warmup_share = 0.05;   // of all steps, rising linearly from zero
  double final_share = 0.1;     // of the peak, reached at the last step
};

// Factor on the peak learning rate at `step` (from 0) of `total`.
double schedule_factor(const Schedule& schedule, int64_t step, int64_t total);

}  // namespace dmoerm::train
