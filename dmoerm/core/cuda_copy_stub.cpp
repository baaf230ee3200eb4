#include "dmoerm/core/async_copy.h"

namespace dmoerm {

struct AsyncCopy::State {};

void AsyncCopy::start(const Tensor& target, const Tensor& source) {
  const torch::NoGradGuard no_grad;
  Tensor(target).copy_(source);
}

void AsyncCopy::finish() {}

}  // namespace dmoerm
