#include "dmoerm/core/cuda/host_read.h"

namespace dmoerm {
namespace {

// Enough loads under way for the latency of the bus, on few enough multiprocessors for other kernels to keep theirs.
constexpr int kBlocks = 16, kThreads = 512, kLoads = 4;

__global__ void read_kernel(const uint4* __restrict__ source, uint4* __restrict__ target, int64_t count) {
  const int64_t step = static_cast<int64_t>(kBlocks) * kThreads;
  int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  for (; i + (kLoads - 1) * step < count; i += kLoads * step) {
    uint4 values[kLoads];
#pragma unroll
    for (int j = 0; j < kLoads; ++j) values[j] = source[i + j * step];
#pragma unroll
    for (int j = 0; j < kLoads; ++j) target[i + j * step] = values[j];
  }
  for (; i < count; i += step) target[i] = source[i];
}

}  // namespace

cudaError_t read_from_host(const void* source, void* target, int64_t bytes, cudaStream_t stream) {
  const int64_t whole = bytes / 16, rest = bytes % 16;
  if (whole > 0)
    read_kernel<<<kBlocks, kThreads, 0, stream>>>(static_cast<const uint4*>(source), static_cast<uint4*>(target),
                                                  whole);
  if (const cudaError_t error = cudaGetLastError(); error != cudaSuccess || rest == 0) return error;
  return cudaMemcpyAsync(static_cast<char*>(target) + 16 * whole, static_cast<const char*>(source) + 16 * whole,
                         rest, cudaMemcpyHostToDevice, stream);
}

}  // namespace dmoerm
