#include "dmoerm/ops/grouped_linear.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "dmoerm/core/error.h"
#include "dmoerm/ops/cuda_ops.h"
#include "dmoerm/ops/float32_linear.h"

namespace dmoerm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct UpdateRange {
  int64_t begin, count, column;
  double scale;
};

struct GroupedPlan : torch::CustomClassHolder {
  explicit GroupedPlan(GroupOffsets groups) : offsets(std::move(groups)) {}

  GroupOffsets offsets;
  std::vector<UpdateRange> updates;
  RowMask mask{RowDropout{}};
  bool has_bias = false;
  bool at_once = false;  // one call for the products of all groups

  // Calls body(group, first row, number of rows) for every group that has rows.
  template <typename Body>
  void for_groups(Body body) const {
    const std::vector<int64_t>& begin = offsets.host();
    for (size_t e = 0; e + 1 < begin.size(); ++e)
      if (begin[e + 1] > begin[e]) body(static_cast<int64_t>(e), begin[e], begin[e + 1] - begin[e]);
  }
};

Tensor products(const GroupedPlan& plan, const Tensor& x_NI, const Tensor& weight_EOI,
                const Tensor& bias_EO) {
  if (plan.at_once)
    return grouped_mm_cuda(x_NI, weight_EOI.transpose(1, 2), plan.offsets.end_E(x_NI.device()));
  const Tensor y_NO = torch::empty({x_NI.size(0), weight_EOI.size(1)}, x_NI.options());
  plan.for_groups([&](int64_t e, int64_t begin, int64_t count) {
    Tensor y = y_NO.narrow(0, begin, count);
    const Tensor x = x_NI.narrow(0, begin, count), weight_IO = weight_EOI[e].t();
    if (bias_EO.defined())
      torch::addmm_out(y, bias_EO[e], x, weight_IO);
    else
      torch::mm_out(y, x, weight_IO);
  });
  return y_NO;
}

Tensor grad_of_x(const GroupedPlan& plan, const Tensor& grad_NO, const Tensor& weight_EOI) {
  if (plan.at_once) return grouped_mm_cuda(grad_NO, weight_EOI, plan.offsets.end_E(grad_NO.device()));
  const Tensor result = torch::empty({grad_NO.size(0), weight_EOI.size(2)}, grad_NO.options());
  plan.for_groups([&](int64_t e, int64_t begin, int64_t count) {
    Tensor part = result.narrow(0, begin, count);
    torch::mm_out(part, grad_NO.narrow(0, begin, count), weight_EOI[e]);
  });
  return result;
}

Tensor grad_of_weight(const GroupedPlan& plan, const Tensor& grad_NO, const Tensor& x_NI,
                      const Tensor& weight_EOI) {
  if (plan.at_once) return grouped_mm_cuda(grad_NO.t(), x_NI, plan.offsets.end_E(x_NI.device()));
  const Tensor result = torch::empty(weight_EOI.sizes(), weight_EOI.options());
  const std::vector<int64_t>& offsets = plan.offsets.host();
  for (size_t e = 0; e + 1 < offsets.size(); ++e)
    if (offsets[e + 1] == offsets[e]) result[static_cast<int64_t>(e)].zero_();
  plan.for_groups([&](int64_t e, int64_t begin, int64_t count) {
    Tensor part = result[e];
    torch::mm_out(part, grad_NO.narrow(0, begin, count).t(), x_NI.narrow(0, begin, count));
  });
  return result;
}

// A and B of the updates in the type of x. Cast together: there are many, and they are small.
variable_list pairs_in(torch::ScalarType type, at::TensorList pairs) {
  variable_list result = pairs.vec(), flat;
  if (std::ranges::all_of(result, [&](const Tensor& x) { return x.scalar_type() == type; })) return result;
  for (const Tensor& x : result) flat.push_back(x.flatten());
  const Tensor all = torch::cat(flat).to(type);
  int64_t begin = 0;
  for (Tensor& x : result) {
    const int64_t count = x.numel();
    x = all.narrow(0, begin, count).view(x.sizes());
    begin += count;
  }
  return result;
}

// Inputs: x, the weights, the biases if there are any, and A and B of each update. The products are taken in
// x's type, whatever type A and B are stored in. Nothing is computed for what needs no gradient: a frozen
// base costs one product in each direction. Each update is added in place in its rows: to multiply all
// updates at once and add the result would move the whole output three times more.
class GroupedLinear : public torch::autograd::Function<GroupedLinear> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x_NI, const Tensor& weight_EOI,
                        at::TensorList rest, const c10::intrusive_ptr<GroupedPlan>& plan) {
    const Tensor y_NO = products(*plan, x_NI, weight_EOI, plan->has_bias ? rest[0] : Tensor());
    variable_list saved = {x_NI, weight_EOI};
    const variable_list pairs = pairs_in(x_NI.scalar_type(), rest.slice(plan->has_bias));
    for (size_t i = 0; i < plan->updates.size(); ++i) {
      const auto [begin, count, column, scale] = plan->updates[i];
      const Tensor &a_RI = pairs[2 * i], &b_OR = pairs[2 * i + 1];
      const Tensor h_NR = torch::mm(plan->mask.apply(x_NI.narrow(0, begin, count), begin), a_RI.t());
      y_NO.narrow(0, begin, count).narrow(1, column, b_OR.size(0)).addmm_(h_NR, b_OR.t(), 1, scale);
      saved.insert(saved.end(), {a_RI, b_OR, h_NR});
    }
    context->save_for_backward(std::move(saved));
    context->saved_data["plan"] = c10::IValue::make_capsule(plan);
    return y_NO;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    const auto holder = context->saved_data["plan"].toCapsule();
    const auto& plan = static_cast<const GroupedPlan&>(*holder);
    const Tensor grad_NO = grads[0].contiguous(), &x_NI = saved[0], &weight_EOI = saved[1];
    const size_t first = 2 + plan.has_bias;                     // of the updates among the inputs
    variable_list result(first + 2 * plan.updates.size() + 1);  // the last: the plan
    if (context->needs_input_grad(0)) result[0] = grad_of_x(plan, grad_NO, weight_EOI);
    if (context->needs_input_grad(1)) result[1] = grad_of_weight(plan, grad_NO, x_NI, weight_EOI);
    if (plan.has_bias && context->needs_input_grad(2)) {
      result[2] = torch::zeros({weight_EOI.size(0), weight_EOI.size(1)}, grad_NO.options());
      plan.for_groups([&](int64_t e, int64_t begin, int64_t count) {
        result[2][e].copy_(grad_NO.narrow(0, begin, count).sum(0));
      });
    }
    for (size_t i = 0; i < plan.updates.size(); ++i) {
      const auto [begin, count, column, scale] = plan.updates[i];
      const Tensor &a_RI = saved[2 + 3 * i], &b_OR = saved[3 + 3 * i], &h_NR = saved[4 + 3 * i];
      const Tensor grad_O = grad_NO.narrow(0, begin, count).narrow(1, column, b_OR.size(0));
      const Tensor x = x_NI.narrow(0, begin, count);
      const Tensor grad_NR = torch::mm(grad_O, b_OR).mul_(scale);
      if (context->needs_input_grad(first + 2 * i))
        result[first + 2 * i] = float32_mm(grad_NR.t(), plan.mask.apply(x, begin));
      if (context->needs_input_grad(first + 2 * i + 1))
        result[first + 2 * i + 1] = float32_mm(grad_O.t(), h_NR).mul_(scale);
      if (!result[0].defined()) continue;
      const Tensor grad_x_NI = result[0].narrow(0, begin, count);
      if (plan.mask.active()) {
        plan.mask.add_to(grad_x_NI, torch::mm(grad_NR, a_RI), begin);
      } else {
        grad_x_NI.addmm_(grad_NR, a_RI);
      }
    }
    return result;
  }
};

}  // namespace

Tensor grouped_linear_reference(const Tensor& x_NI, const Tensor& weight_EOI, const Tensor& bias_EO,
                                const GroupOffsets& group_offsets, std::span<const LowRankUpdate> updates,
                                const RowDropout& dropout) {
  const int64_t num_rows = x_NI.size(0), num_outputs = weight_EOI.size(1);
  const std::vector<int64_t>& offsets = group_offsets.host();
  std::vector<Tensor> parts;
  for (int64_t e = 0; e < weight_EOI.size(0); ++e)
    parts.push_back(torch::linear(x_NI.narrow(0, offsets[e], offsets[e + 1] - offsets[e]), weight_EOI[e],
                                  bias_EO.defined() ? bias_EO[e] : Tensor()));
  Tensor y_NO = torch::cat(parts);
  const Tensor dropped_NI = updates.empty() ? x_NI : row_dropout_reference(x_NI, dropout);
  for (const auto& [pair, begin, count, column] : updates) {
    const Tensor a_RI = pair.a.to(x_NI.scalar_type()), b_OR = pair.b.to(x_NI.scalar_type());
    const Tensor part = torch::linear(torch::linear(dropped_NI.narrow(0, begin, count), a_RI), b_OR);
    y_NO = y_NO + torch::constant_pad_nd(part * pair.scale, {column, num_outputs - column - part.size(1),
                                                             begin, num_rows - begin - count});
  }
  return y_NO;
}

Tensor grouped_linear(const Tensor& x_NI, const Tensor& weight_EOI, const Tensor& bias_EO,
                      const GroupOffsets& offsets, std::span<const LowRankUpdate> updates,
                      const RowDropout& dropout) {
  DMOERM_ASSERT(x_NI.dim() == 2 && weight_EOI.dim() == 3 && x_NI.size(1) == weight_EOI.size(2));
  DMOERM_ASSERT(offsets.num_groups() == weight_EOI.size(0));
  const auto plan = c10::make_intrusive<GroupedPlan>(offsets);
  plan->has_bias = bias_EO.defined();
  plan->at_once = weight_EOI.size(0) > 1 && !plan->has_bias && takes_grouped_mm(x_NI, weight_EOI);
  DMOERM_ASSERT(plan->at_once || offsets.host().back() <= x_NI.size(0));
  variable_list rest;
  if (plan->has_bias) rest.push_back(bias_EO);
  for (const auto& [pair, begin, count, column] : updates) {
    if (count == 0) continue;
    plan->updates.push_back({begin, count, column, pair.scale});
    rest.insert(rest.end(), {pair.a, pair.b});
  }
  if (!plan->updates.empty()) plan->mask = RowMask(dropout);
  const at::TensorList inputs = rest;
  return GroupedLinear::apply(x_NI, weight_EOI, inputs, plan);
}

}  // namespace dmoerm::ops
