#include "dmoerm/ops/top_k.h"

#include "dmoerm/ops/cuda_ops.h"

namespace dmoerm::ops {

Tensor top_k(const Tensor& x_TE, int64_t k) {
  return takes_top_k(x_TE) ? top_k_cuda(x_TE, k) : std::get<1>(x_TE.topk(k, 1));
}

}  // namespace dmoerm::ops
