// Numbers of any kernel type as float32, and 16 bytes of them at a time.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <initializer_list>
#include <type_traits>

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

// Where rows begin, and how many numbers they lie apart. No address: none to look at.
struct RowsAt {
  const void* address;
  int64_t stride;
};

// Whether packs of N may be taken of rows of that width.
template <typename T, int N>
inline bool fit_packs(int64_t width, std::initializer_list<RowsAt> all) {
  for (const RowsAt& rows : all)
    if (reinterpret_cast<uintptr_t>(rows.address) % (sizeof(T) * N) != 0 || rows.stride % N != 0)
      return false;
  return width % N == 0;
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

// call(T(), N) for the C++ type of `type`, and as N a constant: 16 bytes of T where all rows can be taken so,
// or 1.
template <typename Call>
auto with_packs(FloatType type, int64_t width, std::initializer_list<RowsAt> rows, Call call) {
  return with_type(type, [&](auto t) {
    using T = decltype(t);
    if (fit_packs<T, kPackSize<T>>(width, rows)) return call(t, std::integral_constant<int, kPackSize<T>>());
    return call(t, std::integral_constant<int, 1>());
  });
}

}  // namespace dmoerm::ops
