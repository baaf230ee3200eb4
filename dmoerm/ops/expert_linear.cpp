#include "dmoerm/ops/expert_linear.h"

#include <vector>

#include "dmoerm/core/error.h"

namespace dmoerm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// One expert's rows [begin, begin + count), where it has an update and any rows.
struct Update {
  int64_t begin, count;
  double scale;
};

struct Plan : torch::CustomClassHolder {
  std::vector<Update> updates;
  RowMask mask{RowDropout{}};
  bool has_bias = false;
};

// Inputs: x, weight, the bias if there is one, and A and B of each update. The products are taken in x's
// type, whatever type A and B are stored in. Nothing is computed for what needs no gradient: a frozen base
// costs one product in each direction.
class ExpertLinear : public torch::autograd::Function<ExpertLinear> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x_TI, const Tensor& weight_OI,
                        at::TensorList rest, const c10::intrusive_ptr<Plan>& plan) {
    const Tensor y_TO =
        plan->has_bias ? torch::addmm(rest[0], x_TI, weight_OI.t()) : torch::mm(x_TI, weight_OI.t());
    variable_list saved = {x_TI, weight_OI};
    for (size_t i = 0; i < plan->updates.size(); ++i) {
      const auto [begin, count, scale] = plan->updates[i];
      const Tensor a_RI = rest[plan->has_bias + 2 * i].to(x_TI.scalar_type());
      const Tensor b_OR = rest[plan->has_bias + 2 * i + 1].to(x_TI.scalar_type());
      const Tensor h_NR = torch::mm(plan->mask.apply(x_TI.narrow(0, begin, count), begin), a_RI.t());
      y_TO.narrow(0, begin, count).addmm_(h_NR, b_OR.t(), 1, scale);
      saved.insert(saved.end(), {a_RI, b_OR, h_NR});
    }
    context->save_for_backward(std::move(saved));
    context->saved_data["plan"] = c10::IValue::make_capsule(plan);
    return y_TO;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    const auto holder = context->saved_data["plan"].toCapsule();
    const Plan& plan = static_cast<const Plan&>(*holder);
    const Tensor grad_TO = grads[0].contiguous(), &x_TI = saved[0], &weight_OI = saved[1];
    const size_t first = 2 + plan.has_bias;                     // of the updates among the inputs
    variable_list result(first + 2 * plan.updates.size() + 1);  // the last: the plan
    if (context->needs_input_grad(0)) result[0] = torch::mm(grad_TO, weight_OI);
    if (context->needs_input_grad(1)) result[1] = torch::mm(grad_TO.t(), x_TI);
    if (plan.has_bias && context->needs_input_grad(2)) result[2] = grad_TO.sum(0);
    for (size_t i = 0; i < plan.updates.size(); ++i) {
      const auto [begin, count, scale] = plan.updates[i];
      const Tensor &a_RI = saved[2 + 3 * i], &b_OR = saved[3 + 3 * i], &h_NR = saved[4 + 3 * i];
      const Tensor grad_NO = grad_TO.narrow(0, begin, count), x_NI = x_TI.narrow(0, begin, count);
      const Tensor grad_NR = torch::mm(grad_NO, b_OR).mul_(scale);
      if (context->needs_input_grad(first + 2 * i))
        result[first + 2 * i] = torch::mm(grad_NR.t(), plan.mask.apply(x_NI, begin));
      if (context->needs_input_grad(first + 2 * i + 1))
        result[first + 2 * i + 1] = torch::mm(grad_NO.t(), h_NR).mul_(scale);
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

// The dropout of one expert's rows.
RowDropout rows_of(const RowDropout& dropout, int64_t begin, int64_t count) {
  RowDropout part = dropout;
  if (dropout.probability > 0) part.row_keys = dropout.row_keys.subspan(begin, count);
  return part;
}

}  // namespace

Tensor expert_linear_reference(const Tensor& x_TI, const Tensor& weight_OI, const Tensor& bias_O,
                               std::span<const LoraPair> loras, std::span<const int64_t> offsets,
                               const RowDropout& dropout) {
  const Tensor y_TO = torch::linear(x_TI, weight_OI, bias_O);
  if (loras.empty()) return y_TO;
  std::vector<Tensor> parts = {y_TO.narrow(0, 0, offsets[0])};
  for (size_t e = 0; e < loras.size(); ++e) {
    const int64_t begin = offsets[e], count = offsets[e + 1] - begin;
    parts.push_back(y_TO.narrow(0, begin, count));
    if (!loras[e].a.defined() || count == 0) continue;
    const Tensor x_NI = row_dropout_reference(x_TI.narrow(0, begin, count), rows_of(dropout, begin, count));
    const Tensor a_RI = loras[e].a.to(x_TI.scalar_type()), b_OR = loras[e].b.to(x_TI.scalar_type());
    parts.back() = parts.back() + torch::linear(torch::linear(x_NI, a_RI), b_OR) * loras[e].scale;
  }
  return torch::cat(parts);
}

Tensor expert_linear(const Tensor& x_TI, const Tensor& weight_OI, const Tensor& bias_O,
                     std::span<const LoraPair> loras, std::span<const int64_t> offsets,
                     const RowDropout& dropout) {
  DMOERM_ASSERT(x_TI.dim() == 2 && weight_OI.dim() == 2 && x_TI.size(1) == weight_OI.size(1));
  DMOERM_ASSERT(loras.empty() || (offsets.size() == loras.size() + 1 && offsets.back() == x_TI.size(0)));
  const auto plan = c10::make_intrusive<Plan>();
  variable_list rest;
  plan->has_bias = bias_O.defined();
  if (plan->has_bias) rest.push_back(bias_O);
  for (size_t e = 0; e < loras.size(); ++e) {
    const int64_t count = offsets[e + 1] - offsets[e];
    if (!loras[e].a.defined() || count == 0) continue;
    plan->updates.push_back({offsets[e], count, loras[e].scale});
    rest.insert(rest.end(), {loras[e].a, loras[e].b});
  }
  if (plan->updates.empty()) return torch::linear(x_TI, weight_OI, bias_O);
  plan->mask = RowMask(dropout);
  const at::TensorList inputs = rest;
  return ExpertLinear::apply(x_TI, weight_OI, inputs, plan);
}

}  // namespace dmoerm::ops
