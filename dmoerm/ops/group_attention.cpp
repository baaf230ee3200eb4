#include "dmoerm/ops/group_attention.h"

#include "dmoerm/core/error.h"
#include "dmoerm/ops/cuda_ops.h"
#include "dmoerm/ops/group_attention_cpu.h"

namespace dmoerm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

struct OptionsHolder : torch::CustomClassHolder {
  explicit OptionsHolder(GroupAttentionOptions options) : options(std::move(options)) {}
  GroupAttentionOptions options;
};

class GroupAttentionCpu : public Function<GroupAttentionCpu> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& q_QHC, const Tensor& k_TGC,
                        const Tensor& v_TGV, const GroupAttentionOptions& options, bool with_gradient) {
    const Tensor q = q_QHC.contiguous(), k = k_TGC.contiguous(), v = v_TGV.contiguous();
    const AttentionForward result = attention_forward_cpu(q, k, v, options, with_gradient);
    if (with_gradient) {
      context->save_for_backward({q, k, v, result.out_QHV, result.lse_QH});
      context->saved_data["options"] = c10::IValue::make_capsule(c10::make_intrusive<OptionsHolder>(options));
    }
    return result.out_QHV;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    const auto holder = context->saved_data["options"].toCapsule();
    const AttentionGradients gradients =
        attention_backward_cpu(grads[0].contiguous(), saved[0], saved[1], saved[2], {saved[3], saved[4]},
                               static_cast<const OptionsHolder&>(*holder).options);
    return {gradients.q_QHC, gradients.k_TGC, gradients.v_TGV, Tensor(), Tensor()};
  }
};

}  // namespace

Tensor group_attention(const Tensor& q_QHC, const Tensor& k_TGC, const Tensor& v_TGV,
                       const GroupAttentionOptions& options) {
  DMOERM_ASSERT(q_QHC.dim() == 3 && k_TGC.dim() == 3 && v_TGV.dim() == 3);
  DMOERM_ASSERT(q_QHC.size(2) == k_TGC.size(2) && q_QHC.size(1) % k_TGC.size(1) == 0);
  DMOERM_ASSERT(k_TGC.size(0) == options.segments->num_rows && v_TGV.size(0) == k_TGC.size(0));
  if (on_cuda(q_QHC)) return group_attention_cuda(q_QHC, k_TGC, v_TGV, options);
  const bool cpu_float = q_QHC.device().is_cpu() && q_QHC.scalar_type() == torch::kFloat32;
  if (!cpu_float || k_TGC.size(0) == 0) return group_attention_reference(q_QHC, k_TGC, v_TGV, options);
  const bool with_gradient = torch::GradMode::is_enabled() &&
                             (q_QHC.requires_grad() || k_TGC.requires_grad() || v_TGV.requires_grad());
  return GroupAttentionCpu::apply(q_QHC, k_TGC, v_TGV, options, with_gradient);
}

}  // namespace dmoerm::ops
