// A counting sort in three launches: each block counts its share of the assignments, one block adds the counts
// up, and each block puts its share in place. Within a block each warp has its own counts, so that the order is
// kept and no addition is atomic.
#include "dmoerm/ops/cuda/dispatch.h"

#include <algorithm>

namespace dmoerm::ops {
namespace {

constexpr int kWarp = 32, kWarps = 8;
constexpr int kThreads = kWarp * kWarps;
constexpr int kScanThreads = 1024;
constexpr int64_t kMostBlocks = 128;

// The assignments of a warp: whole sets of 32, the same number for all.
struct Share {
  int64_t begin, end;
};

__device__ Share share_of_warp(const SortedAssignments& p, int64_t sets) {
  const int64_t first = (static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.y) * sets * kWarp;
  return {min(first, p.count), min(first + sets * kWarp, p.count)};
}

// Calls body(assignment, expert, lanes with the same expert) for 32 assignments at a time. `expert` is -1, and
// the assignment none, past the end.
template <typename Body>
__device__ void for_sets(const SortedAssignments& p, Share share, Body body) {
  for (int64_t first = share.begin; first < share.end; first += kWarp) {
    const int64_t i = first + threadIdx.x;
    const int expert = i < share.end ? static_cast<int>(p.expert[i]) : -1;
    body(i, expert, __match_any_sync(0xffffffff, expert));
    __syncwarp();  // what was counted is seen by the next set
  }
}

// counts [kWarps, num_experts] in shared memory: of each warp's share.
__device__ void count_share(const SortedAssignments& p, Share share, int* counts) {
  for (int64_t i = threadIdx.y * kWarp + threadIdx.x; i < kWarps * p.num_experts; i += kThreads) counts[i] = 0;
  __syncthreads();
  int* const mine = counts + threadIdx.y * p.num_experts;
  for_sets(p, share, [&](int64_t, int expert, unsigned same) {
    if (expert >= 0 && threadIdx.x + 1 == __ffs(same)) mine[expert] += __popc(same);
  });
  __syncthreads();
}

// scratch [num_experts, blocks]: of each block's share.
__global__ void count_kernel(SortedAssignments p, int64_t sets) {
  extern __shared__ int counts[];
  count_share(p, share_of_warp(p, sets), counts);
  for (int64_t e = threadIdx.y * kWarp + threadIdx.x; e < p.num_experts; e += kThreads) {
    int total = 0;
    for (int w = 0; w < kWarps; ++w) total += counts[w * p.num_experts + e];
    p.scratch[e * gridDim.x + blockIdx.x] = total;
  }
}

// scratch: the sum of all counts before it. One block; each thread a run of them.
__global__ void __launch_bounds__(kScanThreads) scan_kernel(SortedAssignments p, int64_t blocks) {
  const int64_t all = p.num_experts * blocks, run = (all + kScanThreads - 1) / kScanThreads;
  const int64_t begin = min(run * threadIdx.x, all), end = min(begin + run, all);
  int sum = 0;
  for (int64_t i = begin; i < end; ++i) sum += p.scratch[i];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const auto sum_up_to_lane = [&](int x) {
    for (int distance = 1; distance < kWarp; distance *= 2) {
      const int other = __shfl_up_sync(0xffffffff, x, distance);
      if (lane >= distance) x += other;
    }
    return x;
  };
  int before = sum_up_to_lane(sum) - sum;
  __shared__ int of_warp[kScanThreads / kWarp];
  if (lane == kWarp - 1) of_warp[warp] = before + sum;
  __syncthreads();
  if (warp == 0) of_warp[lane] = sum_up_to_lane(of_warp[lane]) - of_warp[lane];
  __syncthreads();
  before += of_warp[warp];
  for (int64_t i = begin; i < end; ++i) {
    const int count = p.scratch[i];
    p.scratch[i] = before;
    before += count;
    if (i % blocks == blocks - 1) p.end[i / blocks] = before;
  }
}

__global__ void place_kernel(SortedAssignments p, int64_t sets) {
  extern __shared__ int counts[];  // then the sorted place of each warp's next assignment to each expert
  const Share share = share_of_warp(p, sets);
  count_share(p, share, counts);
  for (int64_t e = threadIdx.y * kWarp + threadIdx.x; e < p.num_experts; e += kThreads) {
    int next = p.scratch[e * gridDim.x + blockIdx.x];
    for (int w = 0; w < kWarps; ++w) {
      const int count = counts[w * p.num_experts + e];
      counts[w * p.num_experts + e] = next;
      next += count;
    }
  }
  __syncthreads();
  int* const next = counts + threadIdx.y * p.num_experts;
  for_sets(p, share, [&](int64_t i, int expert, unsigned same) {
    const int before = __popc(same & ((1u << threadIdx.x) - 1));
    const int64_t slot = expert >= 0 ? next[expert] + before : 0;
    __syncwarp();
    if (expert < 0) return;
    if (before == 0) next[expert] += __popc(same);
    p.place[slot] = i;
    p.slot[i] = slot;
  });
}

}  // namespace

int64_t sort_blocks(int64_t count) {
  constexpr int64_t kFewest = 4 * kThreads;  // assignments that are worth a block
  return std::clamp((count + kFewest - 1) / kFewest, int64_t{1}, kMostBlocks);
}

cudaError_t sort_assignments(const SortedAssignments& sorted, cudaStream_t stream) {
  const int64_t blocks = sort_blocks(sorted.count), per_set = blocks * kThreads;
  const int64_t sets = (sorted.count + per_set - 1) / per_set;
  const size_t shared = sizeof(int) * kWarps * sorted.num_experts;
  const dim3 grid(static_cast<unsigned>(blocks)), threads(kWarp, kWarps);
  count_kernel<<<grid, threads, shared, stream>>>(sorted, sets);
  scan_kernel<<<1, kScanThreads, 0, stream>>>(sorted, blocks);
  place_kernel<<<grid, threads, shared, stream>>>(sorted, sets);
  return cudaGetLastError();
}

}  // namespace dmoerm::ops
