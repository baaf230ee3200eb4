#include "dmoerm/core/error.h"
#include "dmoerm/ops/cuda_ops.h"

namespace dmoerm::ops {
namespace {

[[noreturn]] void without_cuda() {
  fail("ops", "this program was built without CUDA");
}

}  // namespace

bool on_cuda(const Tensor&) {
  return false;
}
bool takes_dispatch(const Tensor&, int64_t) {
  return false;
}
bool takes_top_k(const Tensor&) {
  return false;
}
bool takes_routing(const Tensor&, const RoutingRule&) {
  return false;
}
bool takes_moe_rows(const Tensor&) {
  return false;
}
bool takes_grouped_mm(const Tensor&, const Tensor&) {
  return false;
}

Tensor group_attention_cuda(const Tensor&, const Tensor&, const Tensor&, const GroupAttentionOptions&) {
  without_cuda();
}
Tensor rms_norm_cuda(const Tensor&, const Tensor&, double) {
  without_cuda();
}
NormedSum add_rms_norm_cuda(const Tensor&, const Tensor&, const Tensor&, double) {
  without_cuda();
}
Tensor rotary_cuda(const Tensor&, const Tensor&, const Tensor&) {
  without_cuda();
}
Tensor swiglu_cuda(const Tensor&, const Tensor&) {
  without_cuda();
}
Tensor grouped_mm_cuda(const Tensor&, const Tensor&, const Tensor&) {
  without_cuda();
}
Tensor float32_mm_cuda(const Tensor&, const Tensor&) {
  without_cuda();
}
Tensor gather_rows_cuda(const Tensor&, const Tensor&, int64_t) {
  without_cuda();
}
CombineGradients combine_rows_backward_cuda(const Tensor&, const Tensor&, const Tensor&, const Tensor&, bool,
                                            bool) {
  without_cuda();
}
Tensor swiglu_halves_cuda(const Tensor&) {
  without_cuda();
}
void row_dropout_cuda(const Tensor&, const Tensor&, const Tensor&, uint32_t, double, bool) {
  without_cuda();
}
Tensor weighted_rows_cuda(const Tensor&, const Tensor&, const Tensor&) {
  without_cuda();
}
Tensor top_k_cuda(const Tensor&, int64_t) {
  without_cuda();
}
RoutedRows route_rows_cuda(const Tensor&, const Tensor&, const RoutingRule&) {
  without_cuda();
}
void adamw_cuda_(std::span<AdamWSlot>, const AdamWStep&) {
  without_cuda();
}
Dispatch dispatch_cuda(const Tensor&, int64_t) {
  without_cuda();
}
Tensor cross_entropy_cuda(const Tensor&, const Tensor&, bool) {
  without_cuda();
}
Tensor ranking_loss_cuda(const Tensor&, const RankingEdges&, const RankingLossOptions&) {
  without_cuda();
}
Tensor global_norm_cuda(std::span<const Tensor>) {
  without_cuda();
}

}  // namespace dmoerm::ops
