// Numbers of any kernel type as float32, and 16 bytes of them at a time.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "dmoerm/ops/cuda/float_type.h"

namespace dmoerm::ops {

__device__ inline float to_float(float x) {
  return x;
}
__device__ inline float to_float(__nv_bfloat16 x) {
  return __bfloat162float(x);
}
__device__ inline float to_float(__half x) {
  return __half2float(x);
}
__device__ inline void assign(float& y, float x) {
  y = x;
}
__device__ inline void assign(__nv_bfloat16& y, float x) {
  y = __float2bfloat16_rn(x);
}
__device__ inline void assign(__half& y, float x) {
  y = __float2half_rn(x);
}

// N numbers that are loaded and stored at once; their address is a multiple of their size.
template <typename T, int N>
struct alignas(sizeof(T) * N) Pack {
  T values[N];
};

// 16 bytes of T.
template <typename T>
inline constexpr int kPackSize = 16 / static_cast<int>(sizeof(T));

template <typename T, int N>
__device__ inline Pack<T, N> load_pack(const T* from) {
  return *reinterpret_cast<const Pack<T, N>*>(from);
}
template <typename T, int N>
__device__ inline void store_pack(T* to, const Pack<T, N>& pack) {
  *reinterpret_cast<Pack<T, N>*>(to) = pack;
}

// Whether packs of N may be taken at these addresses, for rows that begin `stride` numbers apart.
template <typename T, int N>
inline bool fits_packs(const void* address, int64_t stride) {
  return reinterpret_cast<uintptr_t>(address) % (sizeof(T) * N) == 0 && stride % N == 0;
}

inline unsigned num_blocks(int64_t count, int64_t per_block) {
  return static_cast<unsigned>((count + per_block - 1) / per_block);
}

// call(T()) for the C++ type of `type`.
template <typename Call>
auto with_type(FloatType type, Call call) {
  switch (type) {
    case FloatType::BFloat16:
      return call(__nv_bfloat16());
    case FloatType::Float16:
      return call(__half());
    default:
      return call(float());
  }
}

}  // namespace dmoerm::ops
