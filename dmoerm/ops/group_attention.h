// Group attention: causal attention over packed segments in which a child also sees all of its parent.
// Shapes: T rows, H query heads, G key/value heads (H % G == 0), C head size, V head size of the values, Q
// queries.
#pragma once

#include <memory>
#include <vector>

#include "dmoerm/core/compat.h"
#include "dmoerm/data/packing.h"

namespace dmoerm::ops {

struct GroupAttentionOptions {
  std::shared_ptr<const data::SegmentTable> segments;
  double scale = 1;  // of the scores, usually 1/sqrt(C)
  int64_t window =
      0;  // > 0: a token sees only tokens at most window - 1 positions before it (sliding window)
  // Rows that have a query, ascending; empty: every row. In the last layer only each sequence's last token
  // needs one.
  std::vector<int64_t> query_rows = {};
};

// q_QHC [Q, H, C], k_TGC [T, G, C], v_TGV [T, G, V] -> [Q, H, V], differentiable. Dispatches on device and
// dtype: float32 on the CPU takes the blocked kernel, float32, bfloat16 and float16 on CUDA LibTorch's
// attention kernels, everything else the reference. So do, on CUDA, a window with gradients in float32 or
// with more than 256 channels, and query rows that are not the last of their segment.
Tensor group_attention(const Tensor& q_QHC, const Tensor& k_TGC, const Tensor& v_TGV,
                       const GroupAttentionOptions& options);

// The same in plain operations, one segment at a time.
Tensor group_attention_reference(const Tensor& q_QHC, const Tensor& k_TGC, const Tensor& v_TGV,
                                 const GroupAttentionOptions& options);

}  // namespace dmoerm::ops
