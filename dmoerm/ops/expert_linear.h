// A linear layer whose rows belong to experts: one base product over all rows, and each expert's low-rank
// product over its own rows. Shapes: T rows, I inputs, O outputs.
#pragma once

#include <span>

#include "dmoerm/core/compat.h"
#include "dmoerm/ops/grouped_linear.h"

namespace dmoerm::ops {

// x_TI [T, I], weight_OI [O, I], bias_O [O] or undefined -> [T, O]. Rows and outputs that no update names are
// the base's.
Tensor expert_linear(const Tensor& x_TI, const Tensor& weight_OI, const Tensor& bias_O,
                     std::span<const LowRankUpdate> updates, const RowDropout& dropout = {});

// The same in plain operations.
Tensor expert_linear_reference(const Tensor& x_TI, const Tensor& weight_OI, const Tensor& bias_O,
                               std::span<const LowRankUpdate> updates, const RowDropout& dropout = {});

}  // namespace dmoerm::ops
