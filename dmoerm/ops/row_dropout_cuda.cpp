#include "dmoerm/core/error.h"
#include "dmoerm/ops/cuda/row_dropout.h"
#include "dmoerm/ops/cuda_launch.h"
#include "dmoerm/ops/cuda_ops.h"

namespace dmoerm::ops {
namespace {

bool lies_in_packs(const Tensor& x) {
  return x.is_contiguous() && reinterpret_cast<uintptr_t>(x.data_ptr()) % 16 == 0;
}

DropoutType dropout_type(const Tensor& x) {
  if (x.scalar_type() == torch::kFloat32) return DropoutType::Float32;
  return x.scalar_type() == torch::kBFloat16 ? DropoutType::BFloat16 : DropoutType::Float16;
}

}  // namespace

bool takes_row_dropout(const Tensor& x_NI, const Tensor& y_NI) {
  return on_cuda(x_NI) && x_NI.scalar_type() == y_NI.scalar_type() && lies_in_packs(x_NI) &&
         lies_in_packs(y_NI) && x_NI.size(1) * x_NI.element_size() % 16 == 0;
}

void row_dropout_cuda_(const Tensor& x_NI, const Tensor& y_NI, const Tensor& key_N,
                       const RowDropoutConstants& constants) {
  check_cuda(drop_in_rows({.type = dropout_type(x_NI),
                           .x = x_NI.data_ptr(),
                           .y = y_NI.data_ptr(),
                           .keys = reinterpret_cast<const uint64_t*>(key_N.data_ptr<int64_t>()),
                           .num_rows = x_NI.size(0),
                           .width = x_NI.size(1),
                           .threshold = constants.threshold,
                           .scale = constants.scale,
                           .add = constants.add},
                          current_stream(x_NI)),
             "row_dropout");
}

}  // namespace dmoerm::ops
