#include "dmoerm/ops/cuda/row_dropout.h"

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

}  // namespace

cudaError_t row_dropout(const RowDropoutProblem& p, cudaStream_t stream) {
  if (p.rows * p.width == 0) return cudaSuccess;
  return with_packs(p.type, p.width, {{p.x, p.width}, {p.y, p.width}}, [&](auto t, auto n) {
    row_dropout_kernel<decltype(t), n>
        <<<num_blocks(p.rows * p.width / n, kThreads), kThreads, 0, stream>>>(p);
    return cudaGetLastError();
  });
}

}  // namespace dmoerm::ops
