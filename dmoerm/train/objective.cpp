#include "dmoerm/train/objective.h"

#include "dmoerm/core/log.h"

namespace dmoerm::train {

bool halve_token_budget(int64_t& token_budget) {
  constexpr int64_t kSmallest = 256;
  if (token_budget <= kSmallest) return false;
  token_budget /= 2;
  log().warn("the device is out of memory: going on with a token budget of {}", token_budget);
  return true;
}

}  // namespace dmoerm::train
