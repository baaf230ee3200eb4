#include "dmoerm/ops/expert_linear.h"

#include <vector>

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
  DMOERM_ASSERT(x_TI.dim() == 2 && weight_OI.dim() == 2 && x_TI.size(1) == weight_OI.size(1));
  DMOERM_ASSERT(loras.empty() || (offsets.size() == loras.size() + 1 && offsets.back() == x_TI.size(0)));
  std::vector<LowRankUpdate> updates;
  for (size_t e = 0; e < loras.size(); ++e) {
    const int64_t count = offsets[e + 1] - offsets[e];
    if (loras[e].a.defined() && count > 0) updates.push_back({loras[e], offsets[e], count});
  }
  if (updates.empty()) return torch::linear(x_TI, weight_OI, bias_O);
  const int64_t one_group[] = {0, x_TI.size(0)};
  return grouped_linear(x_TI, weight_OI.unsqueeze(0), bias_O.defined() ? bias_O.unsqueeze(0) : Tensor(),
                        one_group, updates, dropout);
}

}  // namespace dmoerm::ops
