// What group attention adds to LibTorch's attention kernels: merging two attentions over different keys, and
// bringing the gradients of copied keys home. Raw pointers on the GPU; all tensors contiguous. Nothing here
// waits.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "dmoerm/ops/cuda/float_type.h"

namespace dmoerm::ops {

// Attentions of the same queries over two sets of keys -> over both: weighted by exp(log-sum-exp), in float32
// (FlashDecoding; Milakov and Gimelshein, arXiv:1805.02867). In place in out [Q, H, C] and lse [H, Q]
// float32; other_out and other_lse have the same shapes. Only the `num_rows` queries in `rows` are touched. C
// is a multiple of 8 and at most 256; the pointers lie at multiples of 16 bytes; out is BFloat16 or Float16.
struct AttentionMerge {
  FloatType type;
  void* out;
  float* lse;
  const void* other_out;
  const float* other_lse;
  const int32_t* rows;
  int64_t num_rows, num_queries, heads, channels;
};
cudaError_t merge_attention(const AttentionMerge& merge, cudaStream_t stream);

// into[rows[i]] += sum over j in [offsets[i], offsets[i + 1]) of from[sources[j]], in that order and in
// float32: the same bits in every run. Rows of `width` numbers, a multiple of 8; into [*, width], from [*,
// width]; pointers at multiples of 16 bytes. `rows` names each row once.
struct RowSums {
  FloatType type;
  void* into;
  const void* from;
  const int32_t *rows, *offsets, *sources;
  int64_t num_rows, width;
};
cudaError_t add_row_sums(const RowSums& sums, cudaStream_t stream);

}  // namespace dmoerm::ops
