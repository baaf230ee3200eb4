// Group attention on CUDA. bfloat16 and float16 take flash attention; float32, and heads of more than 256
// channels, memory-efficient attention (which makes each float32 product of three TF32 ones: nearly float32's
// accuracy, whatever allow_tf32 says).
#include <ATen/ops/constant_pad_nd.h>

#include <algorithm>

#include "dmoerm/ops/cuda_ops.h"
#include "dmoerm/ops/varlen_attention_cuda.h"

namespace dmoerm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

constexpr int64_t kFlashChannels = 256;

class GroupAttentionCuda : public Function<GroupAttentionCuda> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& q_QHC, const Tensor& k_TGC,
                        const Tensor& v_TGV, const c10::intrusive_ptr<VarlenCall>& call, bool with_gradient) {
    const VarlenForward result = varlen_forward(q_QHC, k_TGC, v_TGV, *call, with_gradient);
    if (with_gradient) {
      context->save_for_backward(
          {q_QHC, k_TGC, v_TGV, result.out_QHV, result.lse, result.random_state, result.random_aux});
      context->saved_data["call"] = c10::IValue::make_capsule(call);
    }
    return result.out_QHV;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    const auto holder = context->saved_data["call"].toCapsule();
    const VarlenGradients result =
        varlen_backward(grads[0].contiguous(), saved[0], saved[1], saved[2],
                        {saved[3], saved[4], saved[5], saved[6]}, static_cast<const VarlenCall&>(*holder));
    return {result.q_QHC, result.k_TGC, result.v_TGV, Tensor(), Tensor()};
  }
};

// With `channels` channels, the new ones zero: they change neither scores nor the other outputs.
Tensor pad_channels(const Tensor& x_THC, int64_t channels) {
  if (x_THC.size(2) == channels) return x_THC;
  return at::constant_pad_nd(x_THC, {0, channels - x_THC.size(2)});
}

// The kernels load 16 bytes at a time and give their outputs the strides of q.
Tensor aligned(const Tensor& x_THC) {
  const int64_t unit = 16 / x_THC.element_size();
  const bool loadable = x_THC.stride(2) == 1 && x_THC.stride(1) % unit == 0 && x_THC.stride(0) % unit == 0 &&
                        x_THC.stride(0) >= x_THC.stride(1) &&
                        reinterpret_cast<uintptr_t>(x_THC.data_ptr()) % 16 == 0;
  return loadable ? x_THC : x_THC.clone(at::MemoryFormat::Contiguous);
}

Tensor repeat_groups(const Tensor& x_TGC, int64_t heads) {
  const int64_t groups = x_TGC.size(1);
  return x_TGC.unsqueeze(2).expand({-1, -1, heads / groups, -1}).flatten(1, 2);
}

int64_t multiple_of_8(int64_t n) {
  return (n + 7) / 8 * 8;
}

}  // namespace

Tensor group_attention_cuda(const Tensor& q_QHC, const Tensor& k_TGC, const Tensor& v_TGV,
                            const GroupAttentionOptions& options) {
  if (q_QHC.size(0) == 0) return group_attention_reference(q_QHC, k_TGC, v_TGV, options);
  const data::SegmentTable& table = *options.segments;
  int64_t channels = multiple_of_8(q_QHC.size(2)), value_channels = multiple_of_8(v_TGV.size(2));
  const auto call = c10::make_intrusive<VarlenCall>();
  call->flash =
      q_QHC.scalar_type() != torch::kFloat32 && std::max(channels, value_channels) <= kFlashChannels;
  call->scale = options.scale;
  call->window = effective_window(table, options.window);
  const bool with_gradient = torch::GradMode::is_enabled() &&
                             (q_QHC.requires_grad() || k_TGC.requires_grad() || v_TGV.requires_grad());
  // The backward pass of memory-efficient attention is wrong with a window (seen with LibTorch 2.11).
  if (!call->flash && call->window > 0 && with_gradient)
    return group_attention_reference(q_QHC, k_TGC, v_TGV, options);
  const bool children = table.roots.size() < table.segments.size();
  const bool gathered = !call->flash || (call->window > 0 && children);
  call->layout = gathered ? KeyLayout::Gathered : KeyLayout::Shared;
  call->plan = cuda_varlen_plan(options, call->layout, call->window, q_QHC.device());
  if (!call->plan) return group_attention_reference(q_QHC, k_TGC, v_TGV, options);

  // Flash attention takes one size for all, memory-efficient attention one number of heads.
  if (call->flash) channels = value_channels = std::max(channels, value_channels);
  Tensor q = pad_channels(q_QHC, channels), k = pad_channels(k_TGC, channels);
  Tensor v = pad_channels(v_TGV, value_channels);
  if (!call->flash) {
    k = repeat_groups(k, q.size(1));
    v = repeat_groups(v, q.size(1));
  }
  const Tensor out = GroupAttentionCuda::apply(aligned(q), aligned(k), aligned(v), call, with_gradient);
  return value_channels == v_TGV.size(2) ? out : out.narrow(2, 0, v_TGV.size(2));
}

}  // namespace dmoerm::ops
