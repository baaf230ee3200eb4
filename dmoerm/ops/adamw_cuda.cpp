#include "dmoerm/ops/cuda/adamw.h"

#include "dmoerm/core/error.h"
#include "dmoerm/ops/cuda_ops.h"
#include "dmoerm/ops/launch_cuda.h"

namespace dmoerm::ops {

void adamw_cuda_(std::span<AdamWSlot> slots, const AdamWStep& step) {
  const torch::NoGradGuard no_grad;
  const Tensor& device_of = slots.front().first_moment;
  const Tensor scale =
      step.grad_scale.defined() ? step.grad_scale.to(device_of.device(), torch::kFloat32) : Tensor();
  std::vector<Tensor> contiguous;  // gradients that had to be copied, until they are read
  AdamWTable table = {};
  table.grad_scale = scale.defined() ? scale.data_ptr<float>() : nullptr;
  table.constants = adamw_constants(step, 1);
  for (size_t begin = 0; begin < slots.size(); begin += kTensorsOfLaunch) {
    table.num_tensors = 0;
    for (AdamWSlot& slot : slots.subspan(begin, std::min<size_t>(kTensorsOfLaunch, slots.size() - begin))) {
      const Tensor& value = slot.master.defined() ? slot.master : slot.parameter;
      DMOERM_ASSERT(value.is_contiguous() && slot.first_moment.is_contiguous() &&
                    slot.second_moment.is_contiguous() && slot.parameter.is_contiguous());
      contiguous.push_back(on_cuda(slot.gradient) ? slot.gradient.contiguous()
                                                  : slot.gradient.to(torch::kFloat32).contiguous());
      AdamWTensor& tensor = table.tensors[table.num_tensors++];
      tensor.value = value.data_ptr<float>();
      tensor.first = slot.first_moment.data_ptr<float>();
      tensor.second = slot.second_moment.data_ptr<float>();
      tensor.parameter = slot.master.defined() ? slot.parameter.data_ptr() : nullptr;
      tensor.parameter_type = float_type(slot.parameter);
      tensor.gradient = contiguous.back().data_ptr();
      tensor.gradient_type = float_type(contiguous.back());
      tensor.count = value.numel();
    }
    check_cuda(adamw(table, current_stream(device_of)), "adamw");
  }
}

Tensor global_norm_cuda(std::span<const Tensor> gradients) {
  const torch::NoGradGuard no_grad;
  const auto doubles = gradients.front().options().dtype(torch::kFloat64);
  std::vector<Tensor> contiguous;
  int64_t blocks = 0;
  for (const Tensor& gradient : gradients) {
    contiguous.push_back(gradient.contiguous());
    blocks += num_square_blocks(gradient.numel());
  }
  const Tensor partial = torch::empty({blocks}, doubles), norm = torch::empty({}, doubles);
  const cudaStream_t stream = current_stream(partial);
  double* next = partial.data_ptr<double>();
  for (size_t begin = 0; begin < contiguous.size(); begin += kTensorsOfLaunch) {
    NormTable table = {};
    table.partial = next;
    for (size_t i = begin; i < std::min(begin + kTensorsOfLaunch, contiguous.size()); ++i) {
      table.tensors[table.num_tensors++] = {contiguous[i].data_ptr(), float_type(contiguous[i]),
                                            contiguous[i].numel()};
      next += num_square_blocks(contiguous[i].numel());
    }
    check_cuda(squares(table, stream), "global_norm");
  }
  check_cuda(root_of_sum(partial.data_ptr<double>(), blocks, norm.data_ptr<double>(), stream), "global_norm");
  return norm;
}

}  // namespace dmoerm::ops
