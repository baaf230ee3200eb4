#include "dmoerm/ops/row_dropout.h"

#include <cmath>

#include "dmoerm/core/error.h"
#include "dmoerm/core/hash.h"

namespace dmoerm::ops {
namespace {

constexpr int64_t kLow = 0xffffffff;

// The finaliser of MurmurHash3 on the low 32 bits of int64 tensors.
Tensor mix32(Tensor h) {
  h = (h ^ h.bitwise_right_shift(16)) * int64_t{0x85ebca6b} & kLow;
  h = (h ^ h.bitwise_right_shift(13)) * int64_t{0xc2b2ae35} & kLow;
  return h ^ h.bitwise_right_shift(16);
}

}  // namespace

Tensor row_dropout_reference(const Tensor& x_TI, const RowDropout& dropout) {
  if (dropout.probability <= 0) return x_TI;
  DMOERM_ASSERT(dropout.probability < 1 && static_cast<int64_t>(dropout.row_keys.size()) == x_TI.size(0));
  std::vector<int64_t> low(x_TI.size(0)), high(x_TI.size(0));
  for (size_t t = 0; t < low.size(); ++t) {
    const uint64_t key = hash_combine(dropout.seed, dropout.row_keys[t]);
    low[t] = static_cast<int64_t>(key & kLow);
    high[t] = static_cast<int64_t>(key >> 32);
  }
  const auto options = torch::TensorOptions(torch::kInt64);
  const Tensor low_T1 = torch::tensor(low, options).to(x_TI.device()).unsqueeze(1);
  const Tensor high_T1 = torch::tensor(high, options).to(x_TI.device()).unsqueeze(1);
  const Tensor column_I = torch::arange(x_TI.size(1), low_T1.options()) * int64_t{0x9e3779b9} & kLow;
  const Tensor bits_TI = mix32(mix32(column_I ^ low_T1) ^ high_T1);
  const Tensor kept_TI = bits_TI >= static_cast<int64_t>(std::llround(dropout.probability * 0x1p32));
  return x_TI * (kept_TI.to(x_TI.scalar_type()) * (1 / (1 - dropout.probability)));
}

Tensor row_dropout(const Tensor& x_TI, const RowDropout& dropout) { return row_dropout_reference(x_TI, dropout); }

}  // namespace dmoerm::ops
