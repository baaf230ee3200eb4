// A block takes a row: one pass for the largest number and the sum, one (out of the cache, if the row fits) for the
// gradient.
#include "dmoerm/ops/cuda/cross_entropy.h"

#include <cmath>

#include "dmoerm/ops/cuda/device_float.cuh"

namespace dmoerm::ops {
namespace {

constexpr int kWarp = 32, kThreads = 512;

// The largest number so far and the sum of exp(x - largest). Nothing yet: -infinity and 0.
struct Total {
  float largest, sum;
};

__device__ Total add(Total a, Total b) {
  const float largest = fmaxf(a.largest, b.largest);
  if (largest == -INFINITY) return {largest, a.sum + b.sum};
  return {largest, a.sum * __expf(a.largest - largest) + b.sum * __expf(b.largest - largest)};
}

// The total of all threads, in all threads.
__device__ Total of_block(Total total) {
  __shared__ Total of_warp[kThreads / kWarp];
  const auto of_lanes = [](Total x) {
    for (int distance = kWarp / 2; distance > 0; distance /= 2)
      x = add(x, {__shfl_xor_sync(0xffffffff, x.largest, distance),
                  __shfl_xor_sync(0xffffffff, x.sum, distance)});
    return x;
  };
  total = of_lanes(total);
  if (threadIdx.x % kWarp == 0) of_warp[threadIdx.x / kWarp] = total;
  __syncthreads();
  const int lane = threadIdx.x % kWarp;
  return of_lanes(lane < kThreads / kWarp ? of_warp[lane] : Total{-INFINITY, 0});
}

template <typename T, int N>
__global__ void __launch_bounds__(kThreads) cross_entropy_kernel(CrossEntropy p) {
  const int64_t row = blockIdx.x, packs = p.columns / N, target = p.target[row];
  T* const x = static_cast<T*>(p.x) + row * p.columns;
  const float of_target = to_float(x[target]);  // before the gradient takes its place
  Total total = {-INFINITY, 0};
  for (int64_t i = threadIdx.x; i < packs; i += kThreads) {
    const Pack<T, N> pack = load_pack<T, N>(x + i * N);
    Total part = {to_float(pack.values[0]), 0};
#pragma unroll
    for (int n = 1; n < N; ++n) part.largest = fmaxf(part.largest, to_float(pack.values[n]));
    if (part.largest == -INFINITY) continue;
#pragma unroll
    for (int n = 0; n < N; ++n) part.sum += __expf(to_float(pack.values[n]) - part.largest);
    total = add(total, part);
  }
  total = of_block(total);
  if (threadIdx.x == 0) p.loss[row] = logf(total.sum) + total.largest - of_target;
  if (!p.with_gradient) return;
  for (int64_t i = threadIdx.x; i < packs; i += kThreads) {
    Pack<T, N> pack = load_pack<T, N>(x + i * N);
#pragma unroll
    for (int n = 0; n < N; ++n) {
      const float probability = __expf(to_float(pack.values[n]) - total.largest) / total.sum;
      assign(pack.values[n], i * N + n == target ? probability - 1 : probability);
    }
    store_pack<T, N>(x + i * N, pack);
  }
}

}  // namespace

cudaError_t cross_entropy(const CrossEntropy& p, cudaStream_t stream) {
  if (p.rows == 0) return cudaSuccess;
  return with_packs(p.type, p.columns, {{p.x, p.columns}}, [&](auto t, auto n) {
    cross_entropy_kernel<decltype(t), n><<<static_cast<unsigned>(p.rows), kThreads, 0, stream>>>(p);
    return cudaGetLastError();
  });
}

}  // namespace dmoerm::ops
