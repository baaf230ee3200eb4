#include "dmoerm/ops/moe_dispatch.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "dmoerm/core/device_copy.h"
#include "dmoerm/core/error.h"
#include "dmoerm/ops/cpu_float.h"
#include "dmoerm/ops/cuda_ops.h"
#include "dmoerm/ops/sum_type.h"

namespace dmoerm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Marks the assignments that find a place.
std::vector<bool> kept_assignments(const int64_t* expert, int64_t num_rows, int64_t top_k,
                                   int64_t num_experts, const Capacity& capacity) {
  DMOERM_ASSERT(capacity.order.empty() || static_cast<int64_t>(capacity.order.size()) == num_rows);
  std::vector<int64_t> counts(num_experts, 0);
  std::vector<bool> kept(num_rows * top_k, false);
  for (int64_t j = 0; j < top_k; ++j)
    for (int64_t i = 0; i < num_rows; ++i) {
      const int64_t place = (capacity.order.empty() ? i : capacity.order[i]) * top_k + j;
      DMOERM_ASSERT(expert[place] >= 0 && expert[place] < num_experts);
      if (capacity.rows > 0 && counts[expert[place]] == capacity.rows) continue;
      ++counts[expert[place]];
      kept[place] = true;
    }
  return kept;
}

// The same on a GPU, [T, k] bool: sorted by expert, choice and order, an assignment's rank among those of its
// expert is how far it lies behind the expert's first.
Tensor kept_on_device(const Tensor& expert_Tk, int64_t num_experts, const Capacity& capacity) {
  Tensor order_T;
  if (!capacity.order.empty()) {
    DMOERM_ASSERT(static_cast<int64_t>(capacity.order.size()) == expert_Tk.size(0));
    const std::vector<int64_t> order(capacity.order.begin(), capacity.order.end());
    order_T = copy_to_device(order, expert_Tk.device());
  }
  const Tensor ordered_Tk = order_T.defined() ? expert_Tk.index_select(0, order_T) : expert_Tk;
  const Tensor expert_kT = ordered_Tk.t().contiguous();
  const Dispatch sorted = dispatch_cuda(expert_kT, num_experts);
  const Tensor end_E = sorted.offsets.end_E(expert_Tk.device()).to(torch::kInt64);
  const Tensor last_E = torch::constant_pad_nd(end_E.narrow(0, 0, num_experts - 1), {1, 0}) + capacity.rows;
  const Tensor kept_Tk =
      (sorted.slot_Tk < last_E.index_select(0, expert_kT.flatten()).view_as(expert_kT)).t();
  return order_T.defined() ? torch::empty_like(kept_Tk).index_copy_(0, order_T, kept_Tk) : kept_Tk;
}

// What is dropped makes a group of its own behind the others.
Dispatch dispatch_on_device(const Tensor& expert_Tk, int64_t num_experts, const Capacity& capacity,
                            const RowParts& parts) {
  Tensor group_Tk = expert_Tk;
  if (parts.part_T.defined()) group_Tk = expert_Tk * parts.num_parts + parts.part_T.unsqueeze(1);
  if (capacity.rows == 0) return dispatch_cuda(group_Tk, num_experts * parts.num_parts);
  const int64_t num_groups = num_experts * parts.num_parts;
  const Tensor kept_Tk = kept_on_device(expert_Tk, num_experts, capacity);
  const Dispatch sorted = dispatch_cuda(group_Tk.masked_fill(~kept_Tk, num_groups), num_groups + 1);
  const int64_t most = std::min(expert_Tk.numel(), num_experts * capacity.rows);
  return {sorted.offsets.joined(num_groups, 1), sorted.place_N.narrow(0, 0, most),
          sorted.slot_Tk.masked_fill(~kept_Tk, -1)};
}

bool runs_on_kernels(const Tensor& x) {
  return x.device().is_cpu() && (x.scalar_type() == torch::kFloat32 || x.scalar_type() == torch::kBFloat16);
}

// y[t] = sum over j of weight[t, j] * x[slot[t, j]].
Tensor weighted_rows(const Tensor& x_ND, const Tensor& weight_Tk, const Tensor& slot_Tk) {
  const int64_t num_rows = slot_Tk.size(0), top_k = slot_Tk.size(1), width = x_ND.size(1);
  if (runs_on_kernels(x_ND)) {
    const Tensor x = x_ND.contiguous(), weight = weight_Tk.to(torch::kFloat32).contiguous();
    const Tensor y_TD = torch::empty({num_rows, width}, x.options());
    const float* factors = weight.data_ptr<float>();
    const int64_t* slots = slot_Tk.data_ptr<int64_t>();
    const auto run = [&](auto kernel, const auto* from, auto* to) {
      at::parallel_for(0, num_rows, 1 + 16384 / (width * top_k + 1), [&](int64_t begin, int64_t end) {
        kernel(from, slots + begin * top_k, factors + begin * top_k, to + begin * width, end - begin, top_k,
               width);
      });
    };
    if (x.scalar_type() == torch::kFloat32)
      run(cpu_kernels().weighted_rows, x.data_ptr<float>(), y_TD.data_ptr<float>());
    else
      run(cpu_kernels().weighted_rows_bfloat16, bfloat16_data(x), bfloat16_data(y_TD));
    return y_TD;
  }
  if (on_cuda(x_ND)) return weighted_rows_cuda(x_ND, weight_Tk, slot_Tk);
  Tensor y_TD = torch::zeros({num_rows, width}, x_ND.options().dtype(sum_type(x_ND)));
  if (x_ND.size(0) == 0) return y_TD.to(x_ND.scalar_type());
  for (int64_t j = 0; j < top_k; ++j) {
    const Tensor slot_T = slot_Tk.select(1, j);
    const Tensor weight_T = weight_Tk.select(1, j) * (slot_T >= 0);
    y_TD.addcmul_(x_ND.index_select(0, slot_T.clamp_min(0)).to(y_TD.scalar_type()), weight_T.unsqueeze(1));
  }
  return y_TD.to(x_ND.scalar_type());
}

Tensor row_of(const Tensor& place_N, int64_t top_k) {
  return torch::floor_divide(place_N, top_k);
}

// Sorted rows; backward is the sum over each row's slots.
class GatherRows : public torch::autograd::Function<GatherRows> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x_TD, const Tensor& place_N,
                        const Tensor& slot_Tk) {
    context->save_for_backward({slot_Tk});
    if (takes_moe_rows(x_TD)) return gather_rows_cuda(x_TD, slot_Tk, place_N.size(0));
    return x_TD.index_select(0, row_of(place_N, slot_Tk.size(1)));
  }
  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const Tensor slot_Tk = context->get_saved_variables()[0];
    const Tensor ones_Tk = torch::ones(slot_Tk.sizes(), grads[0].options().dtype(sum_type(grads[0])));
    return {weighted_rows(grads[0], ones_Tk, slot_Tk), Tensor(), Tensor()};
  }
};

class CombineRows : public torch::autograd::Function<CombineRows> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& y_ND, const Tensor& weight_Tk,
                        const Tensor& place_N, const Tensor& slot_Tk) {
    context->save_for_backward({y_ND, weight_Tk, place_N, slot_Tk});
    return weighted_rows(y_ND, weight_Tk, slot_Tk);
  }
  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &y_ND = saved[0], &weight_Tk = saved[1], &place_N = saved[2], &slot_Tk = saved[3];
    variable_list result(4);
    if (takes_moe_rows(y_ND)) {
      auto [grad_ND, grad_Tk] = combine_rows_backward_cuda(
          grads[0], y_ND, weight_Tk, slot_Tk, context->needs_input_grad(0), context->needs_input_grad(1));
      result[0] = grad_ND;
      result[1] = grad_Tk;
      return result;
    }
    const Tensor grad_ND = grads[0].index_select(0, row_of(place_N, weight_Tk.size(1)));
    if (context->needs_input_grad(0)) {
      const Tensor weight_N = weight_Tk.flatten().index_select(0, place_N);
      result[0] = grad_ND * weight_N.unsqueeze(1).to(grad_ND.scalar_type());
    }
    if (context->needs_input_grad(1)) {
      const auto type = sum_type(y_ND);
      const Tensor grad_N = (grad_ND.to(type) * y_ND.to(type)).sum(1).to(weight_Tk.scalar_type());
      result[1] = torch::zeros_like(weight_Tk)
                      .flatten()
                      .index_copy(0, place_N, grad_N)
                      .view_as(weight_Tk)
                      .masked_fill(slot_Tk < 0, 0);
    }
    return result;
  }
};

}  // namespace

int64_t expert_capacity(double factor, int64_t num_rows, int64_t top_k, int64_t num_experts) {
  DMOERM_ASSERT(factor > 0 && num_experts > 0);
  const auto assignments = static_cast<double>(num_rows * top_k);
  return std::max<int64_t>(1,
                           std::llround(std::ceil(factor * assignments / static_cast<double>(num_experts))));
}

Dispatch dispatch(const Tensor& expert_Tk, int64_t num_experts, const Capacity& capacity,
                  const RowParts& parts) {
  DMOERM_ASSERT(expert_Tk.dim() == 2 && expert_Tk.scalar_type() == torch::kInt64);
  const int64_t num_groups = num_experts * parts.num_parts;
  if (takes_dispatch(expert_Tk, num_groups + (capacity.rows > 0)))
    return dispatch_on_device(expert_Tk, num_experts, capacity, parts);
  const Tensor host_Tk = expert_Tk.cpu().contiguous();
  const Tensor part_T = parts.part_T.defined() ? parts.part_T.cpu().contiguous() : Tensor();
  const int64_t num_rows = host_Tk.size(0), top_k = host_Tk.size(1);
  const int64_t *expert = host_Tk.data_ptr<int64_t>(),
                *part = part_T.defined() ? part_T.data_ptr<int64_t>() : nullptr;
  const std::vector<bool> kept = kept_assignments(expert, num_rows, top_k, num_experts, capacity);
  const auto group_of = [&](int64_t place) {
    return expert[place] * parts.num_parts + (part != nullptr ? part[place / top_k] : 0);
  };
  std::vector<int64_t> offsets(num_groups + 1, 0);
  for (int64_t place = 0; place < num_rows * top_k; ++place)
    if (kept[place]) ++offsets[group_of(place) + 1];
  std::partial_sum(offsets.begin(), offsets.end(), offsets.begin());

  std::vector<int64_t> next(offsets.begin(), offsets.end() - 1);
  const Tensor place_N = torch::empty({offsets.back()}, torch::kInt64);
  const Tensor slot_Tk = torch::full({num_rows, top_k}, -1, torch::kInt64);
  int64_t *places = place_N.data_ptr<int64_t>(), *slots = slot_Tk.data_ptr<int64_t>();
  for (int64_t place = 0; place < num_rows * top_k; ++place) {
    if (!kept[place]) continue;
    const int64_t slot = next[group_of(place)]++;
    places[slot] = place;
    slots[place] = slot;
  }
  return {std::move(offsets), place_N.to(expert_Tk.device()), slot_Tk.to(expert_Tk.device())};
}

Tensor gather_rows(const Tensor& x_TD, const Dispatch& plan) {
  DMOERM_ASSERT(x_TD.dim() == 2 && x_TD.size(0) == plan.slot_Tk.size(0));
  return GatherRows::apply(x_TD, plan.place_N, plan.slot_Tk);
}

Tensor combine_rows(const Tensor& y_ND, const Tensor& weight_Tk, const Dispatch& plan) {
  DMOERM_ASSERT(y_ND.dim() == 2 && y_ND.size(0) == plan.place_N.size(0));
  DMOERM_ASSERT(weight_Tk.sizes() == plan.slot_Tk.sizes());
  return CombineRows::apply(y_ND, weight_Tk, plan.place_N, plan.slot_Tk);
}

Tensor gather_rows_reference(const Tensor& x_TD, const Dispatch& plan) {
  return x_TD.index_select(0, row_of(plan.place_N, plan.slot_Tk.size(1)));
}

Tensor combine_rows_reference(const Tensor& y_ND, const Tensor& weight_Tk, const Dispatch& plan) {
  const Tensor weight_N = weight_Tk.flatten().index_select(0, plan.place_N);
  const Tensor part_ND = y_ND.to(sum_type(y_ND)) * weight_N.unsqueeze(1);
  const Tensor zero_TD = torch::zeros({plan.slot_Tk.size(0), y_ND.size(1)}, part_ND.options());
  return zero_TD.index_add(0, row_of(plan.place_N, plan.slot_Tk.size(1)), part_ND).to(y_ND.scalar_type());
}

}  // namespace dmoerm::ops
