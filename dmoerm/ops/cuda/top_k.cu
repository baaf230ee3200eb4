#include "dmoerm/ops/cuda/top_k.h"

namespace dmoerm::ops {
namespace {

constexpr int kWarp = 32, kWarps = 4;  // threads of a warp, warps of a block

// A number in the order of x, then of columns from the last to the first; never 0. Positive floats are in the
// order of their bits, negative ones in the opposite order.
__device__ uint64_t sort_key(float x, int column) {
  const uint32_t bits = x != x ? 0x7fffffffu : __float_as_uint(x == 0 ? 0.0f : x);
  const uint32_t ordered = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return static_cast<uint64_t>(ordered) << 32 | (0xffffffffu - static_cast<uint32_t>(column));
}

// A warp takes a row; thread i holds columns i, i + 32, … . k times the largest key of the warp is taken out.
template <int kColumns>
__global__ void top_k_kernel(TopK top) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.y;
  if (row >= top.num_rows) return;
  uint64_t keys[kColumns];
#pragma unroll
  for (int i = 0; i < kColumns; ++i) {
    const int column = i * kWarp + static_cast<int>(threadIdx.x);
    keys[i] = column < top.columns ? sort_key(top.x[row * top.columns + column], column) : 0;
  }
  for (int64_t j = 0; j < top.k; ++j) {
    uint64_t best = keys[0];
#pragma unroll
    for (int i = 1; i < kColumns; ++i) best = max(best, keys[i]);
    for (int distance = kWarp / 2; distance > 0; distance /= 2)
      best = max(best, static_cast<uint64_t>(__shfl_xor_sync(0xffffffff, best, distance)));
#pragma unroll
    for (int i = 0; i < kColumns; ++i)
      if (keys[i] == best) keys[i] = 0;
    if (threadIdx.x == 0) top.best[row * top.k + j] = 0xffffffffu - static_cast<uint32_t>(best);
  }
}

template <int kColumns>
void launch(const TopK& top, cudaStream_t stream) {
  const auto grid = static_cast<unsigned>((top.num_rows + kWarps - 1) / kWarps);
  top_k_kernel<kColumns><<<grid, dim3(kWarp, kWarps), 0, stream>>>(top);
}

}  // namespace

cudaError_t find_top_k(const TopK& top, cudaStream_t stream) {
  if (top.num_rows == 0) return cudaSuccess;
  if (top.columns <= 1 * kWarp)
    launch<1>(top, stream);
  else if (top.columns <= 2 * kWarp)
    launch<2>(top, stream);
  else if (top.columns <= 4 * kWarp)
    launch<4>(top, stream);
  else if (top.columns <= 8 * kWarp)
    launch<8>(top, stream);
  else
    launch<16>(top, stream);
  return cudaGetLastError();
}

}  // namespace dmoerm::ops
