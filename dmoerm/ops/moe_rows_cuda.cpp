#include <ATen/ops/empty.h>

#include "dmoerm/ops/cuda/dispatch.h"
#include "dmoerm/ops/cuda/moe.h"
#include "dmoerm/ops/cuda_ops.h"
#include "dmoerm/ops/launch_cuda.h"

namespace dmoerm::ops {
namespace {

// The kernels load 16 bytes at a time.
Tensor loadable_rows(const Tensor& x) {
  const Tensor rows = x.contiguous();
  return reinterpret_cast<uintptr_t>(rows.data_ptr()) % 16 == 0 ? rows : rows.clone();
}

}  // namespace

bool takes_dispatch(const Tensor& expert_Tk, int64_t num_experts) {
  return expert_Tk.is_cuda() && expert_Tk.numel() > 0 && num_experts <= kMostSortedExperts;
}

Dispatch dispatch_cuda(const Tensor& expert_Tk, int64_t num_experts) {
  const Tensor expert = expert_Tk.contiguous(), place_N = at::empty({expert.numel()}, expert.options()),
               slot_Tk = at::empty(expert.sizes(), expert.options());
  const auto int32 = expert.options().dtype(torch::kInt32);
  const Tensor end_E = at::empty({num_experts}, int32),
               scratch = at::empty({num_experts * sort_blocks(expert.numel())}, int32);
  check_cuda(
      sort_assignments({expert.data_ptr<int64_t>(), place_N.data_ptr<int64_t>(), slot_Tk.data_ptr<int64_t>(),
                        end_E.data_ptr<int32_t>(), scratch.data_ptr<int32_t>(), expert.numel(), num_experts},
                       current_stream(expert)),
      "dispatch");
  return {GroupOffsets(end_E), place_N, slot_Tk};
}

bool takes_moe_rows(const Tensor& x_TD) {
  return on_cuda(x_TD) && x_TD.size(1) * x_TD.element_size() % 16 == 0;
}

Tensor gather_rows_cuda(const Tensor& x_TD, const Tensor& slot_Tk, int64_t num_sorted) {
  const Tensor from = loadable_rows(x_TD), slot = slot_Tk.contiguous(),
               to = at::empty({num_sorted, from.size(1)}, from.options());
  const int64_t row_bytes = from.size(1) * from.element_size();
  check_cuda(gather_rows({from.data_ptr(), to.data_ptr(), slot.data_ptr<int64_t>(), slot.size(0),
                          slot.size(1), row_bytes},
                         current_stream(from)),
             "gather_rows");
  return to;
}

Tensor weighted_rows_cuda(const Tensor& x_ND, const Tensor& weight_Tk, const Tensor& slot_Tk) {
  const Tensor x = x_ND.contiguous(), weight = weight_Tk.to(torch::kFloat32).contiguous(),
               slot = slot_Tk.contiguous();
  const Tensor y_TD = torch::empty({slot.size(0), x.size(1)}, x.options());
  WeightedRows problem = {};
  problem.type = float_type(x);
  problem.x = x.data_ptr();
  problem.slots = slot.data_ptr<int64_t>();
  problem.weights = weight.data_ptr<float>();
  problem.y = y_TD.data_ptr();
  problem.rows = slot.size(0);
  problem.k = slot.size(1);
  problem.width = x.size(1);
  check_cuda(weighted_rows(problem, current_stream(x)), "weighted_rows");
  return y_TD;
}

CombineGradients combine_rows_backward_cuda(const Tensor& grad_TD, const Tensor& y_ND,
                                            const Tensor& weight_Tk, const Tensor& slot_Tk, bool for_y,
                                            bool for_weight) {
  const Tensor grad = loadable_rows(grad_TD), y = loadable_rows(y_ND), slot = slot_Tk.contiguous(),
               weight = weight_Tk.to(torch::kFloat32).contiguous();
  CombineGradients result;
  if (for_y) result.y_ND = at::empty(y.sizes(), y.options());
  if (for_weight) result.weight_Tk = at::empty(weight.sizes(), weight.options());
  const CombineRowsBackward rows = {.type = float_type(y),
                                    .grad_y = grad.data_ptr(),
                                    .x = y.data_ptr(),
                                    .weight = weight.data_ptr<float>(),
                                    .slot = slot.data_ptr<int64_t>(),
                                    .grad_x = for_y ? result.y_ND.data_ptr() : nullptr,
                                    .grad_weight = for_weight ? result.weight_Tk.data_ptr<float>() : nullptr,
                                    .num_rows = slot.size(0),
                                    .top_k = slot.size(1),
                                    .width = y.size(1)};
  check_cuda(combine_rows_backward(rows, current_stream(y)), "combine_rows");
  return result;
}

}  // namespace dmoerm::ops
