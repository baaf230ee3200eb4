#include "dmoerm/ops/cuda/row_dropout.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace dmoerm::ops {
namespace {

constexpr int kThreads = 256;

__device__ float as_float(float x) {
  return x;
}
__device__ float as_float(__nv_bfloat16 x) {
  return __bfloat162float(x);
}
__device__ float as_float(__half x) {
  return __half2float(x);
}
__device__ void store(float& y, float x) {
  y = x;
}
__device__ void store(__nv_bfloat16& y, float x) {
  y = __float2bfloat16_rn(x);
}
__device__ void store(__half& y, float x) {
  y = __float2half_rn(x);
}

// The finaliser of MurmurHash3.
__device__ uint32_t mix(uint32_t h) {
  h = (h ^ (h >> 16)) * 0x85ebca6bu;
  h = (h ^ (h >> 13)) * 0xc2b2ae35u;
  return h ^ (h >> 16);
}

// 16 bytes of T.
template <typename T>
struct alignas(16) DropoutPack {
  static constexpr int kSize = 16 / sizeof(T);
  T values[kSize];
};

// One thread for 16 bytes of a row.
template <typename T>
__global__ void drop_kernel(DroppedRows rows) {
  constexpr int kSize = DropoutPack<T>::kSize;
  const int64_t packs = rows.width / kSize;
  const int64_t thread = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (thread >= rows.num_rows * packs) return;
  const uint64_t key = rows.keys[thread / packs];
  const auto low = static_cast<uint32_t>(key), high = static_cast<uint32_t>(key >> 32);
  const auto column = static_cast<uint32_t>(thread % packs * kSize);
  const DropoutPack<T> x = static_cast<const DropoutPack<T>*>(rows.x)[thread];
  DropoutPack<T>* const to = static_cast<DropoutPack<T>*>(rows.y) + thread;
  DropoutPack<T> y;
  if (rows.add) y = *to;
#pragma unroll
  for (int c = 0; c < kSize; ++c) {
    const uint32_t drawn = mix(mix((column + c) * 0x9e3779b9u ^ low) ^ high);
    const float value = drawn >= rows.threshold ? as_float(x.values[c]) * rows.scale : 0.0f;
    store(y.values[c], rows.add ? as_float(y.values[c]) + value : value);
  }
  *to = y;
}

}  // namespace

cudaError_t drop_in_rows(const DroppedRows& rows, cudaStream_t stream) {
  const int64_t packs = rows.num_rows * rows.width * (rows.type == DropoutType::Float32 ? 4 : 2) / 16;
  if (packs == 0) return cudaSuccess;
  const auto grid = static_cast<unsigned>((packs + kThreads - 1) / kThreads);
  if (rows.type == DropoutType::Float32)
    drop_kernel<float><<<grid, kThreads, 0, stream>>>(rows);
  else if (rows.type == DropoutType::BFloat16)
    drop_kernel<__nv_bfloat16><<<grid, kThreads, 0, stream>>>(rows);
  else
    drop_kernel<__half><<<grid, kThreads, 0, stream>>>(rows);
  return cudaGetLastError();
}

}  // namespace dmoerm::ops
