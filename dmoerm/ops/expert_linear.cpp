#include "dmoerm/ops/expert_linear.h"

#include <algorithm>
#include <vector>

#include "dmoerm/core/error.h"

namespace dmoerm::ops {
namespace {

// All rows as one group.
template <typename Grouped>
Tensor as_one_group(Grouped grouped_linear, const Tensor& x_TI, const Tensor& weight_OI, const Tensor& bias_O,
                    std::span<const LowRankUpdate> updates, const RowDropout& dropout) {
  const GroupOffsets offsets(std::vector<int64_t>{0, x_TI.size(0)});
  return grouped_linear(x_TI, weight_OI.unsqueeze(0), bias_O.defined() ? bias_O.unsqueeze(0) : Tensor(),
                        offsets, updates, dropout);
}

}  // namespace

Tensor expert_linear_reference(const Tensor& x_TI, const Tensor& weight_OI, const Tensor& bias_O,
                               std::span<const LowRankUpdate> updates, const RowDropout& dropout) {
  return as_one_group(grouped_linear_reference, x_TI, weight_OI, bias_O, updates, dropout);
}

Tensor expert_linear(const Tensor& x_TI, const Tensor& weight_OI, const Tensor& bias_O,
                     std::span<const LowRankUpdate> updates, const RowDropout& dropout) {
  DMOERM_ASSERT(x_TI.dim() == 2 && weight_OI.dim() == 2 && x_TI.size(1) == weight_OI.size(1));
  if (std::ranges::all_of(updates, [](const LowRankUpdate& update) { return update.count == 0; }))
    return torch::linear(x_TI, weight_OI, bias_O);
  return as_one_group(grouped_linear, x_TI, weight_OI, bias_O, updates, dropout);
}

}  // namespace dmoerm::ops
