#include "dmoerm/ops/adamw.h"

#include <algorithm>
#include <cmath>

#include "dmoerm/core/error.h"
#include "dmoerm/ops/cpu_float.h"
#include "dmoerm/ops/cpu_kernels.h"

namespace dmoerm::ops {
namespace {

constexpr int64_t kAdamGrain = 32768;

// In chunks of a fixed size, so that the sum does not depend on the number of threads.
double sum_of_squares_cpu(const Tensor& x) {
  const int64_t count = x.numel(), num_chunks = (count + kAdamGrain - 1) / kAdamGrain;
  const float* data = x.data_ptr<float>();
  std::vector<double> sums(num_chunks);
  at::parallel_for(0, num_chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      sums[i] =
          cpu_kernels().sum_of_squares(data + i * kAdamGrain, std::min(kAdamGrain, count - i * kAdamGrain));
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace

void adamw_reference_(Tensor& parameter, const Tensor& gradient, Tensor& first_moment, Tensor& second_moment,
                      const AdamWStep& options) {
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
  DMOERM_ASSERT(options.step >= 1 && gradient.sizes() == parameter.sizes());
  DMOERM_ASSERT(first_moment.sizes() == parameter.sizes() && second_moment.sizes() == parameter.sizes());
  const Tensor grad = gradient.contiguous();
  if (!is_cpu_float(parameter) || !is_cpu_float(grad) || !is_cpu_float(first_moment) ||
      !is_cpu_float(second_moment))
    return adamw_reference_(parameter, grad, first_moment, second_moment, options);
  const AdamWConstants constants = {
      .decay = static_cast<float>(1 - options.lr * options.weight_decay),
      .beta1 = static_cast<float>(options.beta1),
      .one_minus_beta1 = static_cast<float>(1 - options.beta1),
      .beta2 = static_cast<float>(options.beta2),
      .one_minus_beta2 = static_cast<float>(1 - options.beta2),
      .step_size = static_cast<float>(options.lr / (1 - std::pow(options.beta1, options.step))),
      .inverse_sqrt_bias2 = static_cast<float>(1 / std::sqrt(1 - std::pow(options.beta2, options.step))),
      .eps = static_cast<float>(options.eps),
      .grad_scale = static_cast<float>(options.grad_scale),
  };
  float *p = parameter.data_ptr<float>(), *m = first_moment.data_ptr<float>(),
        *v = second_moment.data_ptr<float>();
  const float* g = grad.data_ptr<float>();
  at::parallel_for(0, parameter.numel(), kAdamGrain, [&](int64_t begin, int64_t end) {
    cpu_kernels().adamw(p + begin, g + begin, m + begin, v + begin, end - begin, constants);
  });
}

double global_norm(std::span<const Tensor> gradients) {
  const torch::NoGradGuard no_grad;
  double sum = 0;
  for (const Tensor& gradient : gradients) {
    if (!gradient.defined()) continue;
    sum += is_cpu_float(gradient) ? sum_of_squares_cpu(gradient)
                                  : gradient.to(torch::kFloat64).square().sum().item<double>();
  }
  return std::sqrt(sum);
}

}  // namespace dmoerm::ops
