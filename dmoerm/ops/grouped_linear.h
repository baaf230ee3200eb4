// A linear layer whose rows are sorted by group, each group with a weight of its own (the experts of a MoE
// layer), and low-rank updates over ranges of rows. Shapes: N rows, E groups, I inputs, O outputs, r rank.
#pragma once

#include <cstdint>
#include <span>

#include "dmoerm/core/compat.h"
#include "dmoerm/ops/group_offsets.h"
#include "dmoerm/ops/row_dropout.h"

namespace dmoerm::ops {

// One expert's low-rank update of one layer: y += scale * (dropout(x) A^T) B^T.
struct LoraPair {
  Tensor a;  // [r, I] float32
  Tensor b;  // [O, r] float32
  double scale = 0;
};

// A pair that updates rows [begin, begin + count) and the outputs from `column` on, as many as b has rows.
struct LowRankUpdate {
  LoraPair pair;
  int64_t begin = 0, count = 0, column = 0;
};

// x_NI [N, I], weight_EOI [E, O, I], bias_EO [E, O] or undefined -> [N, O]. Groups may be empty; rows behind
// the last belong to none, and theirs in the result are not written. Dropout has
// a key for each row and is that of the updates. Waits for the GPU if it must read offsets that only the GPU
// knows: not in bfloat16 on compute capability 9 or 10, without a bias, with I and O multiples of 8 and at
// most 1023 groups.
Tensor grouped_linear(const Tensor& x_NI, const Tensor& weight_EOI, const Tensor& bias_EO,
                      const GroupOffsets& offsets, std::span<const LowRankUpdate> updates = {},
                      const RowDropout& dropout = {});

// The same in plain operations.
Tensor grouped_linear_reference(const Tensor& x_NI, const Tensor& weight_EOI, const Tensor& bias_EO,
                                const GroupOffsets& offsets, std::span<const LowRankUpdate> updates = {},
                                const RowDropout& dropout = {});

}  // namespace dmoerm::ops
