// The loss of a language model's output layer without the logits of all rows at once.
// T rows, D width, V vocabulary.
#pragma once

#include "dmoerm/core/compat.h"

namespace dmoerm::ops {

// Sum over the rows of -log softmax(h W^T)[target], float32 (float64 for float64 rows). hidden_TD [T, D],
// weight_VD [V, D] in the same type, target_T [T] int64 from 0 to below V, which a GPU does not check. The
// rows are taken in parts, whose gradients are computed with their losses. Kept for backward, in float32: the
// gradients of the hidden states [T, D] and of the weights [V, D]; while computing also one part's logits.
Tensor linear_cross_entropy(const Tensor& hidden_TD, const Tensor& weight_VD, const Tensor& target_T);
Tensor linear_cross_entropy_reference(const Tensor& hidden_TD, const Tensor& weight_VD,
                                      const Tensor& target_T);

}  // namespace dmoerm::ops
