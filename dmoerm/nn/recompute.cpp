#include "dmoerm/nn/recompute.h"

#include <torch/csrc/autograd/autograd.h>

namespace dmoerm::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using Part = std::function<Residual(const Residual&)>;

struct PartHolder : torch::CustomClassHolder {
  explicit PartHolder(Part part) : part(std::move(part)) {}
  Part part;
};

class Recompute : public torch::autograd::Function<Recompute> {
 public:
  static variable_list forward(AutogradContext* context, const Tensor& x_TD, const Tensor& delta_TD,
                               const c10::intrusive_ptr<PartHolder>& holder) {
    context->save_for_backward({x_TD, delta_TD});
    context->saved_data["part"] = c10::IValue::make_capsule(holder);
    const Residual result = holder->part({x_TD, delta_TD});
    return {result.x_TD, result.delta_TD};
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const auto capsule = context->saved_data["part"].toCapsule();
    const Part& part = static_cast<const PartHolder&>(*capsule).part;
    variable_list inputs = context->get_saved_variables();
    for (Tensor& input : inputs)
      if (input.defined()) input = input.detach().requires_grad_(true);
    const torch::AutoGradMode with_gradient(true);
    const Residual result = part({inputs[0], inputs[1]});
    variable_list outputs, directions;
    for (const auto& [output, grad] :
         {std::pair{result.x_TD, grads[0]}, std::pair{result.delta_TD, grads[1]}})
      if (grad.defined()) {
        outputs.push_back(output);
        directions.push_back(grad);
      }
    torch::autograd::backward(outputs, directions);
    return {inputs[0].grad(), inputs[1].defined() ? inputs[1].grad() : Tensor(), Tensor()};
  }
};

}  // namespace

Residual recompute(Part part, const Residual& input) {
  const variable_list result =
      Recompute::apply(input.x_TD, input.delta_TD, c10::make_intrusive<PartHolder>(std::move(part)));
  return {result[0], result[1]};
}

}  // namespace dmoerm::nn
