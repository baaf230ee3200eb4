// The ops on CUDA. Without CUDA in LibTorch a stub takes their place, and nothing calls them.
#pragma once

#include <span>

#include "dmoerm/core/compat.h"
#include "dmoerm/ops/adamw.h"
#include "dmoerm/ops/cpu_kernels.h"
#include "dmoerm/ops/group_attention.h"
#include "dmoerm/ops/moe_dispatch.h"
#include "dmoerm/ops/ranking_loss.h"
#include "dmoerm/ops/rms_norm.h"
#include "dmoerm/ops/routing.h"

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
// Whether grouped_mm_cuda multiplies such rows and weights, in both directions: bfloat16, on compute
// capability 9 or 10, with rows that begin at multiples of 16 bytes, and at most 1023 groups.
bool takes_grouped_mm(const Tensor& x_NI, const Tensor& weight_EOI);
// The rows of each group times its own matrix: [N, I], [E, I, O] -> [N, O]; or for each group its columns
// times its rows: [O, N], [N, I] -> [E, O, I]. end_E: int32, the end of each group among the N.
Tensor grouped_mm_cuda(const Tensor& x, const Tensor& y, const Tensor& end_E);
Tensor float32_mm_cuda(const Tensor& x, const Tensor& y);  // of bfloat16 or float16
// Assignments on a GPU, to at most 1024 groups, and at least one assignment.
bool takes_dispatch(const Tensor& expert_Tk, int64_t num_experts);
Dispatch dispatch_cuda(const Tensor& expert_Tk, int64_t num_experts);
bool takes_top_k(const Tensor& x_TE);  // float32 with at most 512 columns
Tensor top_k_cuda(const Tensor& x_TE, int64_t k);
// Whether route_rows_cuda does it in one kernel: what takes_top_k, at most 32 experts a row, no groups.
bool takes_routing(const Tensor& logits_TE, const RoutingRule& rule);
RoutedRows route_rows_cuda(const Tensor& logits_TE, const Tensor& bias_E, const RoutingRule& rule);
// Whether the next two take rows like x's: those of on_cuda() whose size is a multiple of 16 bytes.
bool takes_moe_rows(const Tensor& x_TD);
Tensor gather_rows_cuda(const Tensor& x_TD, const Tensor& slot_Tk, int64_t num_sorted);
struct CombineGradients {
  Tensor y_ND, weight_Tk;  // undefined where not asked for
};
CombineGradients combine_rows_backward_cuda(const Tensor& grad_TD, const Tensor& y_ND,
                                            const Tensor& weight_Tk, const Tensor& slot_Tk, bool for_y,
                                            bool for_weight);
// The losses [N] float32 of rows of logits, contiguous, which become their gradients.
Tensor cross_entropy_cuda(const Tensor& logits_NV, const Tensor& target_N, bool with_gradient);
Tensor ranking_loss_cuda(const Tensor& reward_R, const RankingEdges& edges,
                         const RankingLossOptions& options);
AdamWConstants adamw_constants(const AdamWStep& step, double grad_scale);  // for the CPU too
void adamw_cuda_(std::span<AdamWSlot> slots, const AdamWStep& step);
Tensor global_norm_cuda(std::span<const Tensor> gradients);

}  // namespace dmoerm::ops
