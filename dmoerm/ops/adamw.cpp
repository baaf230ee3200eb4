#include "dmoerm/ops/adamw.h"

#include <cmath>

#include "dmoerm/core/error.h"

namespace dmoerm::ops {

void adamw_reference_(Tensor& parameter, const Tensor& gradient, Tensor& first_moment, Tensor& second_moment,
                      const AdamWStep& options) {
  DMOERM_ASSERT(options.step >= 1);
  const torch::NoGradGuard no_grad;
  const Tensor scaled = gradient * options.grad_scale;
  first_moment.mul_(options.beta1).add_(scaled, 1 - options.beta1);
  second_moment.mul_(options.beta2).addcmul_(scaled, scaled, 1 - options.beta2);
  const double step_size = options.lr / (1 - std::pow(options.beta1, options.step));
  const double bias2 = 1 - std::pow(options.beta2, options.step);
  parameter.mul_(1 - options.lr * options.weight_decay);
  parameter.addcdiv_(first_moment, (second_moment.sqrt() / std::sqrt(bias2)).add_(options.eps), -step_size);
}

void adamw_(Tensor& parameter, const Tensor& gradient, Tensor& first_moment, Tensor& second_moment,
            const AdamWStep& options) {
  adamw_reference_(parameter, gradient, first_moment, second_moment, options);
}

double global_norm(std::span<const Tensor> gradients) {
  const torch::NoGradGuard no_grad;
  double sum = 0;
  for (const Tensor& gradient : gradients)
    if (gradient.defined()) sum += gradient.to(torch::kFloat64).square().sum().item<double>();
  return std::sqrt(sum);
}

}  // namespace dmoerm::ops
