// Dropout by rows and weighted sums of rows on a GPU.
#include "dmoerm/ops/cuda/rows.h"

#include "dmoerm/core/error.h"
#include "dmoerm/ops/cuda_launch.h"
#include "dmoerm/ops/cuda_ops.h"

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

Tensor weighted_rows_cuda(const Tensor& x_ND, const Tensor& weight_Tk, const Tensor& slot_Tk) {
  const Tensor x = x_ND.contiguous(), weight = weight_Tk.to(torch::kFloat32).contiguous(),
               slot = slot_Tk.contiguous();
  const Tensor y_TD = torch::empty({slot.size(0), x.size(1)}, x.options());
  WeightedRows problem = {};
  problem.type = float_type(x);
  problem.x = x.data_ptr();
  problem.slots = slot.data_ptr<int64_t>();
  problem.weights = weight.data_ptr<float>();
  problem.y = y_TD.data_ptr();
  problem.rows = slot.size(0);
  problem.k = slot.size(1);
  problem.width = x.size(1);
  check_cuda(weighted_rows(problem, current_stream(x)), "weighted_rows");
  return y_TD;
}

}  // namespace dmoerm::ops
