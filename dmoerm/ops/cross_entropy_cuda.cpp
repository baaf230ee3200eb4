#include <ATen/ops/empty.h>

#include "dmoerm/core/error.h"
#include "dmoerm/ops/cuda/cross_entropy.h"
#include "dmoerm/ops/cuda_ops.h"
#include "dmoerm/ops/launch_cuda.h"

namespace dmoerm::ops {

Tensor cross_entropy_cuda(const Tensor& logits_NV, const Tensor& target_N, bool with_gradient) {
  DMOERM_ASSERT(logits_NV.is_contiguous() && target_N.device() == logits_NV.device());
  const Tensor target = target_N.contiguous(),
               loss_N = at::empty({logits_NV.size(0)}, logits_NV.options().dtype(torch::kFloat32));
  check_cuda(cross_entropy({.type = float_type(logits_NV),
                            .x = logits_NV.data_ptr(),
                            .target = target.data_ptr<int64_t>(),
                            .loss = loss_N.data_ptr<float>(),
                            .rows = logits_NV.size(0),
                            .columns = logits_NV.size(1),
                            .with_gradient = with_gradient},
                           current_stream(logits_NV)),
             "cross_entropy");
  return loss_N;
}

}  // namespace dmoerm::ops
