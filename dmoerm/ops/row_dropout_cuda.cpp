#include "dmoerm/ops/cuda/row_dropout.h"

#include "dmoerm/core/error.h"
#include "dmoerm/ops/cuda_ops.h"
#include "dmoerm/ops/launch_cuda.h"

namespace dmoerm::ops {

void row_dropout_cuda(const Tensor& x_NI, const Tensor& y_NI, const Tensor& key_N, uint32_t threshold,
                      double scale, bool add) {
  DMOERM_ASSERT(x_NI.is_contiguous() && y_NI.is_contiguous() && key_N.is_contiguous());
  DMOERM_ASSERT(x_NI.scalar_type() == y_NI.scalar_type());
  RowDropoutProblem problem = {};
  problem.type = float_type(x_NI);
  problem.x = x_NI.data_ptr();
  problem.y = y_NI.data_ptr();
  problem.keys = reinterpret_cast<const uint64_t*>(key_N.data_ptr<int64_t>());
  problem.rows = x_NI.size(0);
  problem.width = x_NI.size(1);
  problem.threshold = threshold;
  problem.scale = static_cast<float>(scale);
  problem.add = add;
  check_cuda(row_dropout(problem, current_stream(x_NI)), "row_dropout");
}

}  // namespace dmoerm::ops
