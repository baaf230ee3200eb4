// A linear layer whose rows belong to experts: one base product over all rows, and each expert's low-rank
// product over its own rows. Shapes: T rows, I inputs, O outputs, r rank.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "dmoerm/core/compat.h"

namespace dmoerm::ops {

// One expert's low-rank update of one layer: y += scale * (dropout(x) A^T) B^T. Undefined a: no update.
struct LoraPair {
  Tensor a;  // [r, I] float32
  Tensor b;  // [O, r] float32
  double scale = 0;
};

struct RowDropout {
  double probability = 0;             // 0: none
  uint64_t seed = 0;                  // of the step and the layer
  std::span<const uint64_t> row_keys;  // [T]
};

// x_TI [T, I], weight_OI [O, I], bias_O [O] or undefined -> [T, O]. Rows of expert e are
// [offsets[e], offsets[e + 1]); rows before offsets[0] are the base's. loras: K pairs, or empty.
Tensor expert_linear(const Tensor& x_TI, const Tensor& weight_OI, const Tensor& bias_O,
                     std::span<const LoraPair> loras, std::span<const int64_t> offsets,
                     const RowDropout& dropout = {});

// Inverted dropout whose mask is a function of (seed, row key, column) alone: element (t, i) is kept, and scaled
// by 1/(1-p), or zeroed. Differentiable.
Tensor row_dropout(const Tensor& x_TI, const RowDropout& dropout);

}  // namespace dmoerm::ops
