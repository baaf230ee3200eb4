// The best experts of each row. T rows, E experts, k experts a row.
#pragma once

#include <cstdint>

#include "dmoerm/core/compat.h"

namespace dmoerm::ops {

// x_TE [T, E] -> int64 [T, k]: the columns of each row's k largest numbers, the largest first; NaN is the
// largest of all. Not differentiable.
Tensor top_k(const Tensor& x_TE, int64_t k);

}  // namespace dmoerm::ops
