// The ops on CUDA. Without CUDA in LibTorch a stub takes their place, and nothing calls them.
#pragma once

#include <span>

#include "dmoerm/core/compat.h"
#include "dmoerm/ops/adamw.h"
#include "dmoerm/ops/cpu_kernels.h"
#include "dmoerm/ops/group_attention.h"
#include "dmoerm/ops/rms_norm.h"

namespace dmoerm::ops {

// Whether the program was built with CUDA and x lies on a GPU, in a type that the kernels take (float32,
// bfloat16, float16).
bool on_cuda(const Tensor& x);

Tensor group_attention_cuda(const Tensor& q_QHC, const Tensor& k_TGC, const Tensor& v_TGV,
                            const GroupAttentionOptions& options);
Tensor rms_norm_cuda(const Tensor& x_TD, const Tensor& weight_D, double eps);
NormedSum add_rms_norm_cuda(const Tensor& x_TD, const Tensor& delta_TD, const Tensor& weight_D, double eps);
Tensor rotary_cuda(const Tensor& x_THC, const Tensor& cos_TR, const Tensor& sin_TR);
Tensor swiglu_cuda(const Tensor& gate_TF, const Tensor& up_TF);
Tensor swiglu_halves_cuda(const Tensor& x_T2F);
// y = mask * x * scale, or y += that, for keys [N] int64 (row_dropout.h).
void row_dropout_cuda(const Tensor& x_NI, const Tensor& y_NI, const Tensor& key_N, uint32_t threshold,
                      double scale, bool add);
// y[t] = sum over j of weight[t, j] * x[slot[t, j]]; a slot below 0 adds nothing.
Tensor weighted_rows_cuda(const Tensor& x_ND, const Tensor& weight_Tk, const Tensor& slot_Tk);
AdamWConstants adamw_constants(const AdamWStep& step, double grad_scale);  // for the CPU too
void adamw_cuda_(std::span<AdamWSlot> slots, const AdamWStep& step);
Tensor global_norm_cuda(std::span<const Tensor> gradients);

}  // namespace dmoerm::ops
