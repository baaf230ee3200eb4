#include "dmoerm/ops/adamw.h"

#include <algorithm>
#include <cmath>

#include "dmoerm/core/error.h"
#include "dmoerm/ops/cpu_float.h"
#include "dmoerm/ops/cpu_kernels.h"
#include "dmoerm/ops/cuda_ops.h"

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

double scale_value(const AdamWStep& options) {
  return options.grad_scale.defined() ? options.grad_scale.item<double>() : 1;
}

}  // namespace

AdamWConstants adamw_constants(const AdamWStep& options, double grad_scale) {
  return {
      .decay = static_cast<float>(1 - options.lr * options.weight_decay),
      .beta1 = static_cast<float>(options.beta1),
      .one_minus_beta1 = static_cast<float>(1 - options.beta1),
      .beta2 = static_cast<float>(options.beta2),
      .one_minus_beta2 = static_cast<float>(1 - options.beta2),
      .step_size = static_cast<float>(options.lr / (1 - std::pow(options.beta1, options.step))),
      .inverse_sqrt_bias2 = static_cast<float>(1 / std::sqrt(1 - std::pow(options.beta2, options.step))),
      .eps = static_cast<float>(options.eps),
      .grad_scale = static_cast<float>(grad_scale),
  };
}

void adamw_reference_(std::span<AdamWSlot> slots, const AdamWStep& options) {
  const torch::NoGradGuard no_grad;
  const double grad_scale = scale_value(options);
  if (!(grad_scale > 0)) return;
  const double step_size = options.lr / (1 - std::pow(options.beta1, options.step));
  const double bias2 = 1 - std::pow(options.beta2, options.step);
  for (AdamWSlot& slot : slots) {
    if (!slot.gradient.defined()) continue;
    const Tensor scaled = slot.gradient.to(slot.first_moment.scalar_type()) * grad_scale;
    slot.first_moment.mul_(options.beta1).add_(scaled, 1 - options.beta1);
    slot.second_moment.mul_(options.beta2).addcmul_(scaled, scaled, 1 - options.beta2);
    Tensor& value = slot.master.defined() ? slot.master : slot.parameter;
    value.mul_(1 - options.lr * options.weight_decay);
    value.addcdiv_(slot.first_moment, (slot.second_moment.sqrt() / std::sqrt(bias2)).add_(options.eps),
                   -step_size);
    if (slot.master.defined()) slot.parameter.copy_(slot.master);
  }
}

void adamw_(std::span<AdamWSlot> slots, const AdamWStep& options) {
  DMOERM_ASSERT(options.step >= 1);
  std::vector<AdamWSlot> on_gpu, others;
  for (AdamWSlot& slot : slots) {
    if (!slot.gradient.defined()) continue;
    const Tensor& value = slot.master.defined() ? slot.master : slot.parameter;
    DMOERM_ASSERT(!slot.master.defined() || slot.parameter.element_size() < slot.master.element_size());
    DMOERM_ASSERT(value.scalar_type() == torch::kFloat32 || value.scalar_type() == torch::kFloat64);
    for (const Tensor& part : {slot.gradient, slot.first_moment, slot.second_moment, value})
      DMOERM_ASSERT(part.sizes() == slot.parameter.sizes());
    (on_cuda(value) ? on_gpu : others).push_back(slot);
  }
  if (!on_gpu.empty()) adamw_cuda_(on_gpu, options);
  if (others.empty()) return;
  const auto runs_on_kernels = [](const AdamWSlot& slot) {
    return is_cpu_float(slot.master.defined() ? slot.master : slot.parameter) &&
           is_cpu_float(slot.first_moment) && is_cpu_float(slot.second_moment);
  };
  if (!std::ranges::all_of(others, runs_on_kernels)) return adamw_reference_(others, options);
  const double grad_scale = scale_value(options);
  if (!(grad_scale > 0)) return;
  const AdamWConstants constants = adamw_constants(options, grad_scale);
  for (AdamWSlot& slot : others) {
    Tensor& value = slot.master.defined() ? slot.master : slot.parameter;
    const Tensor grad = slot.gradient.to(torch::kFloat32).contiguous();
    float *p = value.data_ptr<float>(), *m = slot.first_moment.data_ptr<float>(),
          *v = slot.second_moment.data_ptr<float>();
    const float* g = grad.data_ptr<float>();
    at::parallel_for(0, value.numel(), kAdamGrain, [&](int64_t begin, int64_t end) {
      cpu_kernels().adamw(p + begin, g + begin, m + begin, v + begin, end - begin, constants);
    });
    if (!slot.master.defined()) continue;
    const torch::NoGradGuard no_grad;
    slot.parameter.copy_(slot.master);
  }
}

Tensor global_norm(std::span<const Tensor> gradients) {
  const torch::NoGradGuard no_grad;
  std::vector<Tensor> on_gpu;
  double sum = 0;
  for (const Tensor& gradient : gradients) {
    if (!gradient.defined()) continue;
    if (on_cuda(gradient)) {
      on_gpu.push_back(gradient);
    } else {
      sum += is_cpu_float(gradient) ? sum_of_squares_cpu(gradient)
                                    : gradient.to(torch::kFloat64).square().sum().item<double>();
    }
  }
  if (on_gpu.empty()) return torch::tensor(std::sqrt(sum), torch::kFloat64);
  DMOERM_ASSERT(sum == 0);  // all on one device
  return global_norm_cuda(on_gpu);
}

Tensor clip_scale(const Tensor& norm, double limit) {
  const Tensor scale = limit > 0 ? (limit / (norm + 1e-6)).clamp_max(1) : torch::ones_like(norm);
  return torch::where(torch::isfinite(norm), scale, torch::zeros_like(scale)).to(torch::kFloat32);
}

}  // namespace dmoerm::ops
