// These kernels move memory and little else, 16 bytes at a time where the addresses allow.
#include "dmoerm/ops/cuda/moe.h"

#include "dmoerm/ops/cuda/device_float.cuh"

namespace dmoerm::ops {
namespace {

// Threads of a warp, which takes a row with all its copies, so that the row is read once; warps of a block.
constexpr int kWarp = 32, kWarps = 8;
constexpr int kThreads = kWarp * kWarps;

template <typename T>
using RowPack = Pack<T, kPackSize<T>>;

__device__ int64_t row_of_warp() {
  return static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.y;
}

__global__ void gather_kernel(GatheredRows rows) {
  const int64_t t = row_of_warp();
  if (t >= rows.num_rows) return;
  const int64_t packs = rows.row_bytes / 16;
  const uint4* __restrict__ const from = static_cast<const uint4*>(rows.from) + t * packs;
  uint4* __restrict__ const to = static_cast<uint4*>(rows.to);
  const int64_t* __restrict__ const slots = rows.slot + t * rows.top_k;
#pragma unroll 2
  for (int64_t n = threadIdx.x; n < packs; n += kWarp) {
    const uint4 pack = from[n];
    for (int64_t j = 0; j < rows.top_k; ++j)
      if (const int64_t slot = slots[j]; slot >= 0) to[slot * packs + n] = pack;
  }
}

template <typename T>
__global__ void backward_kernel(CombineRowsBackward rows) {
  const int64_t t = row_of_warp();
  if (t >= rows.num_rows) return;
  const int64_t packs = rows.width / kPackSize<T>;
  const RowPack<T>* const grad_y = static_cast<const RowPack<T>*>(rows.grad_y) + t * packs;
  for (int64_t place = t * rows.top_k; place < (t + 1) * rows.top_k; ++place) {
    const int64_t slot = rows.slot[place];
    float product = 0;
    if (slot >= 0) {
      const RowPack<T>* const x = static_cast<const RowPack<T>*>(rows.x) + slot * packs;
      RowPack<T>* const grad_x = static_cast<RowPack<T>*>(rows.grad_x) + slot * packs;
      const float weight = rows.weight[place];
      for (int64_t n = threadIdx.x; n < packs; n += kWarp) {
        const RowPack<T> g = grad_y[n];  // after the first expert out of the cache
        if (rows.grad_weight != nullptr) {
          const RowPack<T> v = x[n];
#pragma unroll
          for (int c = 0; c < kPackSize<T>; ++c) product += to_float(g.values[c]) * to_float(v.values[c]);
        }
        if (rows.grad_x != nullptr) {
          RowPack<T> scaled;
#pragma unroll
          for (int c = 0; c < kPackSize<T>; ++c) assign(scaled.values[c], weight * to_float(g.values[c]));
          grad_x[n] = scaled;
        }
      }
    }
    if (rows.grad_weight == nullptr) continue;
    for (int distance = kWarp / 2; distance > 0; distance /= 2)
      product += __shfl_xor_sync(0xffffffff, product, distance);
    if (threadIdx.x == 0) rows.grad_weight[place] = product;
  }
}

template <typename T, int N>
__global__ void weighted_rows_kernel(WeightedRows p) {
  const int64_t packs = p.width / N, i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= p.rows * packs) return;
  const int64_t row = i / packs, column = i % packs * N;
  float total[N] = {};
  for (int64_t j = 0; j < p.k; ++j) {
    const int64_t slot = p.slots[row * p.k + j];
    if (slot < 0) continue;
    const float weight = p.weights[row * p.k + j];
    const Pack<T, N> x = load_pack<T, N>(static_cast<const T*>(p.x) + slot * p.width + column);
#pragma unroll
    for (int n = 0; n < N; ++n) total[n] += weight * to_float(x.values[n]);
  }
  Pack<T, N> y;
#pragma unroll
  for (int n = 0; n < N; ++n) assign(y.values[n], total[n]);
  store_pack<T, N>(static_cast<T*>(p.y) + row * p.width + column, y);
}

}  // namespace

cudaError_t gather_rows(const GatheredRows& rows, cudaStream_t stream) {
  if (rows.num_rows == 0) return cudaSuccess;
  gather_kernel<<<num_blocks(rows.num_rows, kWarps), dim3(kWarp, kWarps), 0, stream>>>(rows);
  return cudaGetLastError();
}

cudaError_t weighted_rows(const WeightedRows& p, cudaStream_t stream) {
  if (p.rows * p.width == 0) return cudaSuccess;
  return with_packs(p.type, p.width, {{p.x, p.width}, {p.y, p.width}}, [&](auto t, auto n) {
    weighted_rows_kernel<decltype(t), n>
        <<<num_blocks(p.rows * p.width / n, kThreads), kThreads, 0, stream>>>(p);
    return cudaGetLastError();
  });
}

cudaError_t combine_rows_backward(const CombineRowsBackward& rows, cudaStream_t stream) {
  if (rows.num_rows == 0) return cudaSuccess;
  return with_type(rows.type, [&](auto t) {
    backward_kernel<decltype(t)>
        <<<num_blocks(rows.num_rows, kWarps), dim3(kWarp, kWarps), 0, stream>>>(rows);
    return cudaGetLastError();
  });
}

}  // namespace dmoerm::ops
