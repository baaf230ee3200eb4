// Which rows go to which experts of a MoE layer, and the way there and back. Shapes: T rows, k experts a row,
// N assignments that are computed (T * k when none is dropped), E experts, D width.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dmoerm/core/compat.h"
#include "dmoerm/ops/group_offsets.h"

namespace dmoerm::ops {

// The assignments (row, expert) that are computed, sorted by expert and, within an expert, by row.
struct Dispatch {
  GroupOffsets offsets;  // of the experts' sorted rows
  // On the device, int64: place_N [N] the assignment t * k + j of each sorted row; slot_Tk [T, k] the sorted
  // row of each assignment, -1 where it was dropped. With a capacity N may be more than what is kept, which
  // only a GPU knows: the rows behind the last offset belong to no expert, hold anything, and reach no result
  // as long as what is computed of one row is computed of it alone.
  Tensor place_N, slot_Tk;
};

// Every expert takes at most `capacity` rows; what comes later is dropped. All first choices come before all
// second choices (GShard), within a choice the rows in the given order: empty is the order of the batch, a
// random order spreads what is dropped, an order by router weight drops the least certain.
struct Capacity {
  int64_t rows = 0;  // of an expert; 0: no limit
  std::span<const int64_t> order;
};

// Rows of an expert at capacity factor c: ceil(c * T * k / E).
int64_t expert_capacity(double factor, int64_t num_rows, int64_t top_k, int64_t num_experts);

// Parts of each expert's rows, by which they are sorted first: the groups of the offsets are then e *
// num_parts + part.
struct RowParts {
  Tensor part_T;  // int64 from 0 to below num_parts, where expert_Tk lies; undefined: one part
  int64_t num_parts = 1;
};

// expert_Tk [T, k] int64, from 0 to below num_experts. More than 1024 groups (1023 with a capacity) are
// sorted on the host, which then waits for the device. A GPU does not check what it is given.
Dispatch dispatch(const Tensor& expert_Tk, int64_t num_experts, const Capacity& capacity = {},
                  const RowParts& parts = {});

// x_TD [T, D] -> the sorted rows [N, D].
Tensor gather_rows(const Tensor& x_TD, const Dispatch& plan);
// y_ND [N, D], weight_Tk [T, k] float32 -> [T, D]: the sum of each row's results times their weights, in
// order of j. A row whose assignments were all dropped is zero.
Tensor combine_rows(const Tensor& y_ND, const Tensor& weight_Tk, const Dispatch& plan);

// The same in plain operations, for plans without rows that belong to no expert.
Tensor gather_rows_reference(const Tensor& x_TD, const Dispatch& plan);
Tensor combine_rows_reference(const Tensor& y_ND, const Tensor& weight_Tk, const Dispatch& plan);

}  // namespace dmoerm::ops
