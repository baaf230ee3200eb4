// LibTorch's grouped and mixed matrix products.
#include <ATen/ops/_grouped_mm.h>
#include <ATen/ops/mm.h>

#include "dmoerm/core/compat.h"
#include "dmoerm/ops/cuda_ops.h"
#include "dmoerm/ops/launch_cuda.h"

namespace dmoerm::ops {
namespace {

constexpr int64_t kMostGroups = 1023;  // of LibTorch's product, which gives each a thread of one block

bool is_aligned(const Tensor& x) {
  return x.is_contiguous() && x.size(-1) % 8 == 0 && reinterpret_cast<uintptr_t>(x.data_ptr()) % 16 == 0;
}

}  // namespace

bool takes_grouped_mm(const Tensor& x_NI, const Tensor& weight_EOI) {
  if (!x_NI.is_cuda() || x_NI.scalar_type() != torch::kBFloat16 || x_NI.size(0) == 0 ||
      weight_EOI.scalar_type() != torch::kBFloat16 || weight_EOI.size(1) % 8 != 0 || !is_aligned(x_NI) ||
      !is_aligned(weight_EOI) || weight_EOI.size(0) > kMostGroups)
    return false;
  int major = 0;
  check_cuda(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, x_NI.device().index()),
             "grouped_linear");
  return major == 9 || (major == 10 && kGroupedMmOnTen);
}

Tensor grouped_mm_cuda(const Tensor& x, const Tensor& y, const Tensor& end_E) {
  return at::_grouped_mm(x, y, end_E);
}

Tensor float32_mm_cuda(const Tensor& x, const Tensor& y) {
  return at::mm(x, y, at::kFloat);
}

}  // namespace dmoerm::ops
