// Both kernels move memory and little else: a warp takes a sorted row, each thread 16 bytes at a time.
#include "dmoerm/ops/cuda/moe.h"

#include "dmoerm/ops/cuda/device_float.cuh"

namespace dmoerm::ops {
namespace {

constexpr int kWarp = 32, kWarps = 8;  // threads of a warp, warps of a block

template <typename T>
using RowPack = Pack<T, kPackSize<T>>;

__device__ int64_t row_of_warp() {
  return static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.y;
}

__global__ void gather_kernel(GatheredRows rows) {
  const int64_t i = row_of_warp();
  if (i >= rows.num_sorted) return;
  const int64_t packs = rows.row_bytes / 16;
  const uint4* __restrict__ const from =
      static_cast<const uint4*>(rows.from) + rows.place[i] / rows.top_k * packs;
  uint4* __restrict__ const to = static_cast<uint4*>(rows.to) + i * packs;
#pragma unroll 4
  for (int64_t n = threadIdx.x; n < packs; n += kWarp) to[n] = from[n];
}

template <typename T>
__global__ void backward_kernel(CombineRowsBackward rows) {
  const int64_t i = row_of_warp();
  if (i >= rows.num_sorted) return;
  const int64_t packs = rows.width / kPackSize<T>, place = rows.place[i];
  const RowPack<T>* const grad_y = static_cast<const RowPack<T>*>(rows.grad_y) + place / rows.top_k * packs;
  const RowPack<T>* const x = static_cast<const RowPack<T>*>(rows.x) + i * packs;
  RowPack<T>* const grad_x = static_cast<RowPack<T>*>(rows.grad_x) + i * packs;
  const float weight = rows.weight[place];
  float product = 0;
  for (int64_t n = threadIdx.x; n < packs; n += kWarp) {
    const RowPack<T> g = grad_y[n];
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
  if (rows.grad_weight == nullptr) return;
  for (int distance = kWarp / 2; distance > 0; distance /= 2)
    product += __shfl_xor_sync(0xffffffff, product, distance);
  if (threadIdx.x == 0) rows.grad_weight[place] = product;
}

unsigned blocks_of(int64_t num_sorted) {
  return static_cast<unsigned>((num_sorted + kWarps - 1) / kWarps);
}

}  // namespace

cudaError_t gather_rows(const GatheredRows& rows, cudaStream_t stream) {
  if (rows.num_sorted == 0) return cudaSuccess;
  gather_kernel<<<blocks_of(rows.num_sorted), dim3(kWarp, kWarps), 0, stream>>>(rows);
  return cudaGetLastError();
}

cudaError_t combine_rows_backward(const CombineRowsBackward& rows, cudaStream_t stream) {
  if (rows.num_sorted == 0) return cudaSuccess;
  const unsigned grid = blocks_of(rows.num_sorted);
  const dim3 block(kWarp, kWarps);
  if (rows.type == FloatType::Float32)
    backward_kernel<float><<<grid, block, 0, stream>>>(rows);
  else if (rows.type == FloatType::BFloat16)
    backward_kernel<__nv_bfloat16><<<grid, block, 0, stream>>>(rows);
  else
    backward_kernel<__half><<<grid, block, 0, stream>>>(rows);
  return cudaGetLastError();
}

}  // namespace dmoerm::ops
