// Dropout whose mask depends on nothing but what the row is, so that packing and sharing do not change it.
#pragma once

#include <cstdint>
#include <span>

#include "dmoerm/core/compat.h"

namespace dmoerm::ops {

struct RowDropout {
  double probability = 0;              // 0: none; below 1
  uint64_t seed = 0;                   // of the step and the layer
  std::span<const uint64_t> row_keys;  // [T]
};

// Inverted dropout whose mask is a function of (seed, row key, column) alone: element (t, i) is kept, and scaled
// by 1/(1-p), or zeroed. Differentiable.
Tensor row_dropout(const Tensor& x_TI, const RowDropout& dropout);
Tensor row_dropout_reference(const Tensor& x_TI, const RowDropout& dropout);

}  // namespace dmoerm::ops
