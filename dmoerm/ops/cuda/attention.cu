// Both kernels move memory and little else: each thread loads and stores 16 bytes at a time.
#include "dmoerm/ops/cuda/attention.h"

#include "dmoerm/ops/cuda/device_float.cuh"

namespace dmoerm::ops {
namespace {

constexpr int kThreads = 256;

template <typename T>
using Pack16 = Pack<T, kPackSize<T>>;

// Flash attention writes +inf for a query without keys (or with NaN, which stays in its output).
__device__ float log_weight(float lse) {
  return lse == INFINITY ? -INFINITY : lse;
}

// Block (C / 8, queries times heads): threadIdx.y is one (query, head) of C / 8 threads.
template <typename T>
__global__ void merge_kernel(AttentionMerge merge) {
  const int64_t pair = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  const bool active = pair < merge.num_rows * merge.heads;
  float merged_lse = 0;
  int64_t lse_index = 0;
  if (active) {
    const int64_t row = merge.rows[pair / merge.heads], head = pair % merge.heads;
    lse_index = head * merge.num_queries + row;
    const float lse = log_weight(merge.lse[lse_index]), other = log_weight(merge.other_lse[lse_index]);
    const float highest = fmaxf(lse, other);
    float weight = expf(lse - highest), other_weight = expf(other - highest);
    const float sum = weight + other_weight;
    merged_lse = highest + logf(sum);
    weight /= sum;
    other_weight /= sum;

    const int64_t index = (row * merge.heads + head) * (merge.channels / kPackSize<T>)+threadIdx.x;
    Pack16<T>* const out = static_cast<Pack16<T>*>(merge.out) + index;
    Pack16<T> x = *out;
    const Pack16<T> y = static_cast<const Pack16<T>*>(merge.other_out)[index];
#pragma unroll
    for (int i = 0; i < kPackSize<T>; ++i)
      assign(x.values[i], weight * to_float(x.values[i]) + other_weight * to_float(y.values[i]));
    *out = x;
  }
  __syncthreads();  // every thread of the pair has read lse
  if (active && threadIdx.x == 0) merge.lse[lse_index] = merged_lse;
}

// One thread for 16 bytes of a row.
template <typename T>
__global__ void row_sums_kernel(RowSums sums) {
  const int64_t packs = sums.width / kPackSize<T>;
  const int64_t thread = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (thread >= sums.num_rows * packs) return;
  const int64_t i = thread / packs, column = thread % packs;
  Pack16<T>* const into = static_cast<Pack16<T>*>(sums.into) + sums.rows[i] * packs + column;
  const Pack16<T>* const from = static_cast<const Pack16<T>*>(sums.from) + column;
  Pack16<T> x = *into;
  float total[kPackSize<T>];
#pragma unroll
  for (int n = 0; n < kPackSize<T>; ++n) total[n] = to_float(x.values[n]);
  for (int32_t j = sums.offsets[i]; j < sums.offsets[i + 1]; ++j) {
    const Pack16<T> y = from[sums.sources[j] * packs];
#pragma unroll
    for (int n = 0; n < kPackSize<T>; ++n) total[n] += to_float(y.values[n]);
  }
#pragma unroll
  for (int n = 0; n < kPackSize<T>; ++n) assign(x.values[n], total[n]);
  *into = x;
}

}  // namespace

cudaError_t merge_attention(const AttentionMerge& merge, cudaStream_t stream) {
  if (merge.num_rows == 0) return cudaSuccess;
  const auto packs = static_cast<unsigned>(merge.channels / kPackSize<__half>);
  const dim3 block(packs, kThreads / packs);
  const unsigned grid = num_blocks(merge.num_rows * merge.heads, block.y);
  if (merge.type == FloatType::BFloat16)
    merge_kernel<__nv_bfloat16><<<grid, block, 0, stream>>>(merge);
  else
    merge_kernel<__half><<<grid, block, 0, stream>>>(merge);
  return cudaGetLastError();
}

cudaError_t add_row_sums(const RowSums& sums, cudaStream_t stream) {
  if (sums.num_rows == 0) return cudaSuccess;
  return with_type(sums.type, [&](auto t) {
    using T = decltype(t);
    const unsigned grid = num_blocks(sums.num_rows * (sums.width / kPackSize<T>), kThreads);
    row_sums_kernel<T><<<grid, kThreads, 0, stream>>>(sums);
    return cudaGetLastError();
  });
}

}  // namespace dmoerm::ops
