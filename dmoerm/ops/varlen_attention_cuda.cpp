// S: keys given to a kernel.
#include "dmoerm/ops/varlen_attention_cuda.h"

#include <ATen/ops/_efficient_attention_backward.h>
#include <ATen/ops/_efficient_attention_forward.h>
#include <ATen/ops/_flash_attention_backward.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "dmoerm/ops/cuda/attention.h"
#include "dmoerm/ops/launch_cuda.h"

namespace dmoerm::ops {
namespace {

constexpr int64_t kCausalBottomRight = 2;  // a mask of memory-efficient attention

std::optional<int64_t> positive(int64_t window) {
  return window > 0 ? std::optional(window) : std::nullopt;
}

// Arguments that flash attention takes forward and backward.
struct FlashCall {
  const CudaSequences& sequences;
  bool causal;
  double scale;
  int64_t window;

  // With 1 the kernel would make rows of grouped heads, and want exactly one query in every sequence.
  int64_t max_q() const { return std::max<int64_t>(2, sequences.max_q); }
  // Keys before and after a query's own that it sees; nothing: all.
  std::optional<int64_t> left() const { return window > 0 ? std::optional(window - 1) : std::nullopt; }
  std::optional<int64_t> right() const { return window > 0 ? std::optional<int64_t>(0) : std::nullopt; }
};

VarlenForward flash_forward(const Tensor& q_QHC, const Tensor& k_SGC, const Tensor& v_SGC,
                            const FlashCall& call) {
  const CudaSequences& sequences = call.sequences;
  const auto [out, lse, random_state, random_aux, debug_mask] = at::_flash_attention_forward(
      q_QHC, k_SGC, v_SGC, sequences.cu_q, sequences.cu_k, call.max_q(), sequences.max_k, /*dropout_p=*/0.0,
      call.causal, /*return_debug_mask=*/false, std::optional<double>(call.scale), call.left(), call.right());
  return {out.contiguous(), lse.contiguous(), random_state, random_aux};
}

VarlenGradients flash_backward(const Tensor& grad_QHC, const Tensor& q_QHC, const Tensor& k_SGC,
                               const Tensor& v_SGC, const VarlenForward& forward, const FlashCall& call) {
  const CudaSequences& sequences = call.sequences;
  const auto [dq, dk, dv] = at::_flash_attention_backward(
      grad_QHC, q_QHC, k_SGC, v_SGC, forward.out_QHV, forward.lse, sequences.cu_q, sequences.cu_k,
      call.max_q(), sequences.max_k, /*dropout_p=*/0.0, call.causal, forward.random_state, forward.random_aux,
      std::optional<double>(call.scale), call.left(), call.right());
  return {dq, dk.contiguous(), dv.contiguous()};
}

FlashCall causal_call(const VarlenCall& call) {
  return {call.plan->causal, true, call.scale, call.window};
}

FlashCall parent_call(const VarlenCall& call) {
  return {call.plan->parent, false, call.scale, 0};
}

// The memory-efficient kernels want a batch dimension in front; sequences are cut out of it.
VarlenForward efficient_forward(const Tensor& q_QHC, const Tensor& k_SHC, const Tensor& v_SHV,
                                const VarlenCall& call, bool with_gradient) {
  const CudaSequences& sequences = call.plan->causal;
  const auto [out, lse, seed, offset, max_q, max_k] = at::_efficient_attention_forward(
      q_QHC.unsqueeze(0), k_SHC.unsqueeze(0), v_SHV.unsqueeze(0), /*bias=*/{}, sequences.cu_q, sequences.cu_k,
      sequences.max_q, sequences.max_k, /*dropout_p=*/0.0, kCausalBottomRight, with_gradient,
      std::optional<double>(call.scale), /*seqlen_k=*/{}, positive(call.window));
  return {out.squeeze(0), lse, seed, offset};
}

VarlenGradients efficient_backward(const Tensor& grad_QHV, const Tensor& q_QHC, const Tensor& k_SHC,
                                   const Tensor& v_SHV, const VarlenForward& forward,
                                   const VarlenCall& call) {
  const CudaSequences& sequences = call.plan->causal;
  const auto [dq, dk, dv, dbias] = at::_efficient_attention_backward(
      grad_QHV.unsqueeze(0), q_QHC.unsqueeze(0), k_SHC.unsqueeze(0), v_SHV.unsqueeze(0), /*bias=*/{},
      forward.out_QHV.unsqueeze(0), sequences.cu_q, sequences.cu_k, sequences.max_q, sequences.max_k,
      forward.lse, /*dropout_p=*/0.0, forward.random_state, forward.random_aux, kCausalBottomRight,
      /*bias_requires_grad=*/false, std::optional<double>(call.scale), /*num_splits_key=*/{},
      positive(call.window));
  return {dq.squeeze(0), dk.squeeze(0).contiguous(), dv.squeeze(0).contiguous()};
}

Tensor copy_keys(const Tensor& x_TGC, const CudaVarlenPlan& plan) {
  return x_TGC.index_select(0, plan.copies.row_of);
}

// Adds the gradients of copied keys to those of the rows they were copied from.
void add_copies_(const Tensor& into_TGC, const Tensor& from_SGC, const CudaVarlenPlan& plan) {
  const auto& copies = plan.copies;
  check_cuda(add_row_sums({.type = float_type(into_TGC),
                           .into = into_TGC.data_ptr(),
                           .from = from_SGC.data_ptr(),
                           .rows = copies.rows.data_ptr<int32_t>(),
                           .offsets = copies.offsets.data_ptr<int32_t>(),
                           .sources = copies.sources.data_ptr<int32_t>(),
                           .num_rows = copies.rows.size(0),
                           .width = into_TGC.size(1) * into_TGC.size(2)},
                          current_stream(into_TGC)),
             "group_attention");
}

void merge_(const VarlenForward& own, const VarlenForward& parent, const Tensor& child_queries) {
  check_cuda(merge_attention({.type = float_type(own.out_QHV),
                              .out = own.out_QHV.data_ptr(),
                              .lse = own.lse.data_ptr<float>(),
                              .other_out = parent.out_QHV.data_ptr(),
                              .other_lse = parent.lse.data_ptr<float>(),
                              .rows = child_queries.data_ptr<int32_t>(),
                              .num_rows = child_queries.size(0),
                              .num_queries = own.out_QHV.size(0),
                              .heads = own.out_QHV.size(1),
                              .channels = own.out_QHV.size(2)},
                             current_stream(own.out_QHV)),
             "group_attention");
}

VarlenForward shared_forward(const Tensor& q_QHC, const Tensor& k_TGC, const Tensor& v_TGC,
                             const VarlenCall& call) {
  const CudaVarlenPlan& plan = *call.plan;
  VarlenForward own = flash_forward(q_QHC, k_TGC, v_TGC, causal_call(call));
  if (plan.child_queries.size(0) == 0) return own;
  const VarlenForward parent =
      flash_forward(q_QHC, copy_keys(k_TGC, plan), copy_keys(v_TGC, plan), parent_call(call));
  merge_(own, parent, plan.child_queries);
  return own;
}

// With the merged output and log-sum-exp, the backward kernel turns the scores of either part into the
// weights of the whole softmax; so each part gives its share of every gradient.
VarlenGradients shared_backward(const Tensor& grad_QHC, const Tensor& q_QHC, const Tensor& k_TGC,
                                const Tensor& v_TGC, const VarlenForward& merged, const VarlenCall& call) {
  const CudaVarlenPlan& plan = *call.plan;
  const VarlenGradients own = flash_backward(grad_QHC, q_QHC, k_TGC, v_TGC, merged, causal_call(call));
  if (plan.child_queries.size(0) == 0) return own;
  const VarlenGradients parent = flash_backward(grad_QHC, q_QHC, copy_keys(k_TGC, plan),
                                                copy_keys(v_TGC, plan), merged, parent_call(call));
  own.q_QHC.add_(parent.q_QHC);  // queries without keys in the parent part have gradient 0 there
  add_copies_(own.k_TGC, parent.k_TGC, plan);
  add_copies_(own.v_TGV, parent.v_TGV, plan);
  return own;
}

VarlenForward gathered_forward(const Tensor& q_QHC, const Tensor& k_TGC, const Tensor& v_TGV,
                               const VarlenCall& call, bool with_gradient) {
  const Tensor k_SGC = copy_keys(k_TGC, *call.plan), v_SGV = copy_keys(v_TGV, *call.plan);
  if (!call.flash) return efficient_forward(q_QHC, k_SGC, v_SGV, call, with_gradient);
  return flash_forward(q_QHC, k_SGC, v_SGV, causal_call(call));
}

VarlenGradients gathered_backward(const Tensor& grad_QHV, const Tensor& q_QHC, const Tensor& k_TGC,
                                  const Tensor& v_TGV, const VarlenForward& forward, const VarlenCall& call) {
  const CudaVarlenPlan& plan = *call.plan;
  const Tensor k_SGC = copy_keys(k_TGC, plan), v_SGV = copy_keys(v_TGV, plan);
  const VarlenGradients copies =
      call.flash ? flash_backward(grad_QHV, q_QHC, k_SGC, v_SGV, forward, causal_call(call))
                 : efficient_backward(grad_QHV, q_QHC, k_SGC, v_SGV, forward, call);
  const Tensor dk_TGC = at::zeros_like(k_TGC, at::MemoryFormat::Contiguous);
  const Tensor dv_TGV = at::zeros_like(v_TGV, at::MemoryFormat::Contiguous);
  add_copies_(dk_TGC, copies.k_TGC, plan);
  add_copies_(dv_TGV, copies.v_TGV, plan);
  return {copies.q_QHC, dk_TGC, dv_TGV};
}

}  // namespace

VarlenForward varlen_forward(const Tensor& q_QHC, const Tensor& k_TGC, const Tensor& v_TGV,
                             const VarlenCall& call, bool with_gradient) {
  if (call.layout == KeyLayout::Shared) return shared_forward(q_QHC, k_TGC, v_TGV, call);
  return gathered_forward(q_QHC, k_TGC, v_TGV, call, with_gradient);
}

VarlenGradients varlen_backward(const Tensor& grad_QHV, const Tensor& q_QHC, const Tensor& k_TGC,
                                const Tensor& v_TGV, const VarlenForward& forward, const VarlenCall& call) {
  const auto run = call.layout == KeyLayout::Shared ? shared_backward : gathered_backward;
  return run(grad_QHV, q_QHC, k_TGC, v_TGV, forward, call);
}

}  // namespace dmoerm::ops
