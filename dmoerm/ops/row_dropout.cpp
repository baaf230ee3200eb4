#include "dmoerm/ops/row_dropout.h"

#include <cmath>

#include "dmoerm/core/device_copy.h"
#include "dmoerm/core/error.h"
#include "dmoerm/core/hash.h"
#include "dmoerm/ops/cpu_float.h"
#include "dmoerm/ops/cpu_kernels.h"
#include "dmoerm/ops/cuda_ops.h"

namespace dmoerm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kLow = 0xffffffff;

// The finaliser of MurmurHash3 on the low 32 bits of int64 tensors.
Tensor mix32(Tensor h) {
  h = (h ^ h.bitwise_right_shift(16)) * int64_t{0x85ebca6b} & kLow;
  h = (h ^ h.bitwise_right_shift(13)) * int64_t{0xc2b2ae35} & kLow;
  return h ^ h.bitwise_right_shift(16);
}

// A column is dropped when its 32 bits are below this.
uint32_t threshold(double probability) {
  return static_cast<uint32_t>(std::llround(probability * 4294967295.0));
}

struct MaskHolder : torch::CustomClassHolder {
  explicit MaskHolder(const RowDropout& dropout) : mask(dropout) {}
  RowMask mask;
};

class RowDropoutFunction : public torch::autograd::Function<RowDropoutFunction> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x_TI, const RowDropout& dropout) {
    const auto holder = c10::make_intrusive<MaskHolder>(dropout);
    context->saved_data["mask"] = c10::IValue::make_capsule(holder);
    return holder->mask.apply(x_TI, 0);
  }
  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const auto holder = context->saved_data["mask"].toCapsule();
    return {static_cast<const MaskHolder&>(*holder).mask.apply(grads[0], 0), Tensor()};
  }
};

}  // namespace

RowMask::RowMask(const RowDropout& dropout) : probability_(dropout.probability) {
  DMOERM_ASSERT(probability_ >= 0 && probability_ < 1);
  if (!active()) return;
  std::vector<int64_t> keys;
  keys.reserve(dropout.row_keys.size());
  for (const uint64_t key : dropout.row_keys)
    keys.push_back(static_cast<int64_t>(hash_combine(dropout.seed, key)));
  key_N_ = torch::tensor(keys, torch::kInt64);
  if (dropout.place_N.defined())
    key_N_ = copy_to_device(key_N_, dropout.place_N.device()).index_select(0, dropout.place_N);
}

Tensor RowMask::apply(const Tensor& x_NI, int64_t begin) const {
  if (!active()) return x_NI;
  const Tensor x = x_NI.contiguous();
  if (!is_cpu_float(x) && !on_cuda(x)) return x * factors(x, begin);
  const Tensor y = torch::empty_like(x);
  run_kernel(x, y, begin, false);
  return y;
}

void RowMask::add_to(Tensor y_NI, const Tensor& x_NI, int64_t begin) const {
  if (!active()) {
    y_NI.add_(x_NI);
  } else if (is_cpu_float(y_NI) && is_cpu_float(x_NI)) {
    run_kernel(x_NI, y_NI, begin, true);
  } else if (on_cuda(y_NI) && y_NI.is_contiguous() && x_NI.scalar_type() == y_NI.scalar_type()) {
    run_kernel(x_NI.contiguous(), y_NI, begin, true);
  } else {
    y_NI.add_(x_NI * factors(x_NI, begin));
  }
}

void RowMask::run_kernel(const Tensor& x_NI, const Tensor& y_NI, int64_t begin, bool add) const {
  const int64_t rows = x_NI.size(0), width = x_NI.size(1);
  const Tensor key_N = keys_on(x_NI.device(), begin, rows);
  if (x_NI.is_cuda())
    return row_dropout_cuda(x_NI, y_NI, key_N, threshold(probability_), 1 / (1 - probability_), add);
  const float* x = x_NI.data_ptr<float>();
  float* y = y_NI.data_ptr<float>();
  const auto* keys = reinterpret_cast<const uint64_t*>(key_N.data_ptr<int64_t>());
  const auto scale = static_cast<float>(1 / (1 - probability_));
  at::parallel_for(0, rows, 1 + 16384 / (width + 1), [&](int64_t first, int64_t last) {
    cpu_kernels().row_dropout(x + first * width, y + first * width, keys + first, last - first, width,
                              threshold(probability_), scale, add);
  });
}

Tensor RowMask::keys_on(torch::Device device, int64_t begin, int64_t count) const {
  DMOERM_ASSERT(begin + count <= key_N_.size(0));
  if (key_N_.device() != device) key_N_ = copy_to_device(key_N_, device);
  return key_N_.narrow(0, begin, count);
}

Tensor RowMask::factors(const Tensor& x_NI, int64_t begin) const {
  const Tensor key_N1 = keys_on(x_NI.device(), begin, x_NI.size(0)).unsqueeze(1);
  const Tensor low_N1 = key_N1 & kLow, high_N1 = key_N1.bitwise_right_shift(32) & kLow;
  const Tensor column_I = torch::arange(x_NI.size(1), low_N1.options()) * int64_t{0x9e3779b9} & kLow;
  const Tensor kept_NI = mix32(mix32(column_I ^ low_N1) ^ high_N1) >= int64_t{threshold(probability_)};
  return kept_NI.to(x_NI.scalar_type()) * (1 / (1 - probability_));
}

Tensor row_dropout_reference(const Tensor& x_TI, const RowDropout& dropout) {
  const RowMask mask(dropout);
  return mask.active() ? x_TI * mask.factors(x_TI, 0) : x_TI;
}

Tensor row_dropout(const Tensor& x_TI, const RowDropout& dropout) {
  if (dropout.probability <= 0) return x_TI;
  DMOERM_ASSERT((dropout.place_N.defined() ? dropout.place_N.size(0)
                                           : static_cast<int64_t>(dropout.row_keys.size())) == x_TI.size(0));
  return RowDropoutFunction::apply(x_TI, dropout);
}

}  // namespace dmoerm::ops
