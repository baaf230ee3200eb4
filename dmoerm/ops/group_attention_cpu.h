// Group attention on the CPU in float32: plans the tasks and runs the kernels over them.
#pragma once

#include <utility>

#include "dmoerm/ops/cpu_kernels.h"
#include "dmoerm/ops/group_attention.h"

namespace dmoerm::ops {

struct AttentionForward {
  Tensor out_QHV;
  Tensor lse_QH;  // log of the sum of exponentials of each query's scores; undefined unless asked for
};
struct AttentionGradients {
  Tensor q_QHC, k_TGC, v_TGV;
};

// All tensors contiguous float32 on the CPU. Deterministic: the result does not depend on the number of
// threads.
AttentionForward attention_forward_cpu(const Tensor& q_QHC, const Tensor& k_TGC, const Tensor& v_TGV,
                                       const GroupAttentionOptions& options, bool with_lse,
                                       const CpuKernels& kernels = cpu_kernels());
AttentionGradients attention_backward_cpu(const Tensor& grad_QHV, const Tensor& q_QHC, const Tensor& k_TGC,
                                          const Tensor& v_TGV, const AttentionForward& forward,
                                          const GroupAttentionOptions& options,
                                          const CpuKernels& kernels = cpu_kernels());

}  // namespace dmoerm::ops
