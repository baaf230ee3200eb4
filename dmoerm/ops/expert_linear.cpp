#include "dmoerm/ops/expert_linear.h"

#include "dmoerm/core/error.h"

namespace dmoerm::ops {
namespace {

// The dropout of one expert's rows.
RowDropout rows_of(const RowDropout& dropout, int64_t begin, int64_t count) {
  RowDropout part = dropout;
  if (dropout.probability > 0) part.row_keys = dropout.row_keys.subspan(begin, count);
  return part;
}

}  // namespace

Tensor expert_linear_reference(const Tensor& x_TI, const Tensor& weight_OI, const Tensor& bias_O,
                               std::span<const LoraPair> loras, std::span<const int64_t> offsets,
                               const RowDropout& dropout) {
  const Tensor y_TO = torch::linear(x_TI, weight_OI, bias_O);
  if (loras.empty()) return y_TO;
  DMOERM_ASSERT(offsets.size() == loras.size() + 1 && offsets.back() == x_TI.size(0));
  std::vector<Tensor> parts = {y_TO.narrow(0, 0, offsets[0])};
  for (size_t e = 0; e < loras.size(); ++e) {
    const int64_t begin = offsets[e], count = offsets[e + 1] - begin;
    parts.push_back(y_TO.narrow(0, begin, count));
    if (!loras[e].a.defined() || count == 0) continue;
    const Tensor x_NI = row_dropout_reference(x_TI.narrow(0, begin, count), rows_of(dropout, begin, count));
    const Tensor a_RI = loras[e].a.to(x_TI.scalar_type()), b_OR = loras[e].b.to(x_TI.scalar_type());
    parts.back() = parts.back() + torch::linear(torch::linear(x_NI, a_RI), b_OR) * loras[e].scale;
  }
  return torch::cat(parts);
}

Tensor expert_linear(const Tensor& x_TI, const Tensor& weight_OI, const Tensor& bias_O,
                     std::span<const LoraPair> loras, std::span<const int64_t> offsets,
                     const RowDropout& dropout) {
  return expert_linear_reference(x_TI, weight_OI, bias_O, loras, offsets, dropout);
}

}  // namespace dmoerm::ops
