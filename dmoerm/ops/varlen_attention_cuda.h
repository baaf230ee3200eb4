// Group attention over a varlen plan, forward and backward, by LibTorch's own attention kernels on CUDA.
// Shapes as in group_attention.h.
#pragma once

#include "dmoerm/ops/varlen_plan_cuda.h"

namespace dmoerm::ops {

// What a call needs besides its tensors.
struct VarlenCall : torch::CustomClassHolder {
  std::shared_ptr<const CudaVarlenPlan> plan;
  KeyLayout layout = KeyLayout::Shared;
  // Flash attention (Dao, arXiv:2307.08691): bfloat16 or float16, q, k and v of one head size, a multiple of
  // 8 of at most 256. Otherwise memory-efficient attention: any type, as many heads in k and v as in q, head
  // sizes multiples of 8, the gathered layout.
  bool flash = true;
  double scale = 1;
  int64_t window = 0;  // the effective one
};

struct VarlenForward {
  Tensor out_QHV, lse;              // lse: flash [H, Q], memory-efficient [sequences, H, max_q rounded up]
  Tensor random_state, random_aux;  // of dropout, which we do not use; the backward kernels want them
};

struct VarlenGradients {
  Tensor q_QHC, k_TGC, v_TGV;
};

// Every tensor lies at 16 bytes, also row by row. Neither function waits for the GPU.
VarlenForward varlen_forward(const Tensor& q_QHC, const Tensor& k_TGC, const Tensor& v_TGV,
                             const VarlenCall& call, bool with_gradient);
VarlenGradients varlen_backward(const Tensor& grad_QHV, const Tensor& q_QHC, const Tensor& k_TGC,
                                const Tensor& v_TGV, const VarlenForward& forward, const VarlenCall& call);

}  // namespace dmoerm::ops
