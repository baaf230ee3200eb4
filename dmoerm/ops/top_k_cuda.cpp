#include <ATen/ops/empty.h>

#include "dmoerm/core/error.h"
#include "dmoerm/ops/cuda/top_k.h"
#include "dmoerm/ops/cuda_ops.h"
#include "dmoerm/ops/launch_cuda.h"

namespace dmoerm::ops {

bool takes_top_k(const Tensor& x_TE) {
  return x_TE.is_cuda() && x_TE.scalar_type() == torch::kFloat32 && x_TE.size(1) <= kMostColumns;
}

Tensor top_k_cuda(const Tensor& x_TE, int64_t k) {
  DMOERM_ASSERT(k <= x_TE.size(1));
  const Tensor x = x_TE.contiguous(), best = at::empty({x.size(0), k}, x.options().dtype(torch::kInt64));
  check_cuda(
      find_top_k({x.data_ptr<float>(), best.data_ptr<int64_t>(), x.size(0), x.size(1), k}, current_stream(x)),
      "top_k");
  return best;
}

}  // namespace dmoerm::ops
