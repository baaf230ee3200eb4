#include "dmoerm/ops/cuda/rows.h"

#include "dmoerm/ops/cuda/device_float.cuh"

namespace dmoerm::ops {
namespace {

constexpr int kThreads = 256;

// The finaliser of MurmurHash3, as on the CPU.
__device__ uint32_t mix32(uint32_t h) {
  h = (h ^ (h >> 16)) * 0x85ebca6bu;
  h = (h ^ (h >> 13)) * 0xc2b2ae35u;
  return h ^ (h >> 16);
}

template <typename T, int N>
__global__ void row_dropout_kernel(RowDropoutProblem p) {
  const int64_t packs = p.width / N, i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= p.rows * packs) return;
  const int64_t row = i / packs, column = i % packs * N;
  const auto low = static_cast<uint32_t>(p.keys[row]), high = static_cast<uint32_t>(p.keys[row] >> 32);
  Pack<T, N> x = load_pack<T, N>(static_cast<const T*>(p.x) + i * N), y;
  if (p.add) y = load_pack<T, N>(static_cast<const T*>(p.y) + i * N);
#pragma unroll
  for (int n = 0; n < N; ++n) {
    const uint32_t bits = mix32(mix32((static_cast<uint32_t>(column + n) * 0x9e3779b9u) ^ low) ^ high);
    const float kept = bits >= p.threshold ? to_float(x.values[n]) * p.scale : 0;
    assign(x.values[n], p.add ? to_float(y.values[n]) + kept : kept);
  }
  store_pack<T, N>(static_cast<T*>(p.y) + i * N, x);
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

template <typename T>
bool take_packs(int64_t width, const void* x, const void* y) {
  return fits_packs<T, kPackSize<T>>(x, width) && fits_packs<T, kPackSize<T>>(y, width);
}

}  // namespace

cudaError_t row_dropout(const RowDropoutProblem& p, cudaStream_t stream) {
  if (p.rows * p.width == 0) return cudaSuccess;
  return with_type(p.type, [&](auto t) {
    using T = decltype(t);
    constexpr int N = kPackSize<T>;
    if (take_packs<T>(p.width, p.x, p.y))
      row_dropout_kernel<T, N><<<num_blocks(p.rows * p.width / N, kThreads), kThreads, 0, stream>>>(p);
    else
      row_dropout_kernel<T, 1><<<num_blocks(p.rows * p.width, kThreads), kThreads, 0, stream>>>(p);
    return cudaGetLastError();
  });
}

cudaError_t weighted_rows(const WeightedRows& p, cudaStream_t stream) {
  if (p.rows * p.width == 0) return cudaSuccess;
  return with_type(p.type, [&](auto t) {
    using T = decltype(t);
    constexpr int N = kPackSize<T>;
    if (take_packs<T>(p.width, p.x, p.y))
      weighted_rows_kernel<T, N><<<num_blocks(p.rows * p.width / N, kThreads), kThreads, 0, stream>>>(p);
    else
      weighted_rows_kernel<T, 1><<<num_blocks(p.rows * p.width, kThreads), kThreads, 0, stream>>>(p);
    return cudaGetLastError();
  });
}

}  // namespace dmoerm::ops
