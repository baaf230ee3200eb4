// A warp takes a row; thread i holds columns i, i + 32, ….
#include "dmoerm/ops/cuda/routing.h"

#include <cmath>

namespace dmoerm::ops {
namespace {

constexpr int kWarp = 32, kWarps = 4;  // threads of a warp, warps of a block
constexpr unsigned kAll = 0xffffffff;

__device__ int64_t row_of_warp() {
  return static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.y;
}

__device__ int column_of(int i) {
  return i * kWarp + static_cast<int>(threadIdx.x);
}

__device__ float warp_sum(float x) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) x += __shfl_xor_sync(kAll, x, distance);
  return x;
}

__device__ float warp_max(float x) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) x = fmaxf(x, __shfl_xor_sync(kAll, x, distance));
  return x;
}

// A number in the order of x, then of columns from the last to the first; never 0. Positive floats are in the
// order of their bits, negative ones in the opposite order.
__device__ uint64_t sort_key(float x, int column) {
  const uint32_t bits = x != x ? 0x7fffffffu : __float_as_uint(x == 0 ? 0.0f : x);
  const uint32_t ordered = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return static_cast<uint64_t>(ordered) << 32 | (0xffffffffu - static_cast<uint32_t>(column));
}

// Calls body(j, column) for the columns of the k largest keys of the warp, the largest first. Takes them out.
template <int kColumns, typename Body>
__device__ void for_best(uint64_t (&keys)[kColumns], int64_t k, Body body) {
  for (int64_t j = 0; j < k; ++j) {
    uint64_t best = keys[0];
#pragma unroll
    for (int i = 1; i < kColumns; ++i) best = max(best, keys[i]);
    for (int distance = kWarp / 2; distance > 0; distance /= 2)
      best = max(best, static_cast<uint64_t>(__shfl_xor_sync(kAll, best, distance)));
#pragma unroll
    for (int i = 0; i < kColumns; ++i)
      if (keys[i] == best) keys[i] = 0;
    body(j, static_cast<int>(0xffffffffu - static_cast<uint32_t>(best)));
  }
}

template <int kColumns>
__global__ void top_k_kernel(TopK top) {
  const int64_t row = row_of_warp();
  if (row >= top.num_rows) return;
  uint64_t keys[kColumns];
#pragma unroll
  for (int i = 0; i < kColumns; ++i) {
    const int column = column_of(i);
    keys[i] = column < top.columns ? sort_key(top.x[row * top.columns + column], column) : 0;
  }
  for_best(keys, top.k, [&](int64_t j, int column) {
    if (threadIdx.x == 0) top.best[row * top.k + j] = column;
  });
}

// The scores of a row in place of its logits; those of columns past the end are 0.
template <int kColumns>
__device__ void scores_of(float (&x)[kColumns], bool sigmoid, int64_t num_experts) {
  if (sigmoid) {
#pragma unroll
    for (int i = 0; i < kColumns; ++i) x[i] = column_of(i) < num_experts ? 1 / (1 + expf(-x[i])) : 0;
    return;
  }
  float largest = x[0], sum = 0;
#pragma unroll
  for (int i = 1; i < kColumns; ++i) largest = fmaxf(largest, x[i]);
  largest = warp_max(largest);
#pragma unroll
  for (int i = 0; i < kColumns; ++i) {
    x[i] = column_of(i) < num_experts ? expf(x[i] - largest) : 0;
    sum += x[i];
  }
  sum = warp_sum(sum);
#pragma unroll
  for (int i = 0; i < kColumns; ++i) x[i] /= sum;
}

template <int kColumns>
__global__ void route_kernel(Routing p) {
  const int64_t row = row_of_warp();
  if (row >= p.num_rows) return;
  float score[kColumns];
#pragma unroll
  for (int i = 0; i < kColumns; ++i)
    score[i] = column_of(i) < p.num_experts ? p.logits[row * p.num_experts + column_of(i)] : -INFINITY;
  scores_of(score, p.sigmoid, p.num_experts);
  uint64_t keys[kColumns];
#pragma unroll
  for (int i = 0; i < kColumns; ++i) {
    const int column = column_of(i);
    keys[i] = 0;
    if (column >= p.num_experts) continue;
    p.scores[row * p.num_experts + column] = score[i];
    keys[i] = sort_key(p.bias != nullptr ? score[i] + p.bias[column] : score[i], column);
  }
  float sum = 0, mine = 0;  // thread j keeps the j-th best
  int64_t expert = 0;
  for_best(keys, p.k, [&](int64_t j, int column) {
    float best = 0;
#pragma unroll
    for (int i = 0; i < kColumns; ++i)
      if (column_of(i) == column) best = score[i];
    best = __shfl_sync(kAll, best, column % kWarp);
    sum += best;
    if (threadIdx.x != j) return;
    mine = best;
    expert = column;
  });
  if (threadIdx.x >= p.k) return;
  p.expert[row * p.k + threadIdx.x] = expert;
  p.weight[row * p.k + threadIdx.x] = (p.normalize ? mine / (sum + 1e-20f) : mine) * p.scale;
}

template <int kColumns>
__global__ void route_backward_kernel(RoutingBackward p) {
  const int64_t row = row_of_warp();
  if (row >= p.num_rows) return;
  float score[kColumns], grad[kColumns];
#pragma unroll
  for (int i = 0; i < kColumns; ++i) {
    const int64_t at = row * p.num_experts + column_of(i);
    const bool inside = column_of(i) < p.num_experts;
    score[i] = inside ? p.scores[at] : 0;
    grad[i] = inside && p.grad_scores != nullptr ? p.grad_scores[at] : 0;
  }
  if (p.grad_weight != nullptr) {
    const bool chosen = threadIdx.x < p.k;  // thread j takes the j-th weight
    const int64_t at = row * p.k + threadIdx.x;
    const int expert = chosen ? static_cast<int>(p.expert[at]) : 0;
    const float of_weight = chosen ? p.grad_weight[at] : 0;
    const float best = chosen ? p.scores[row * p.num_experts + expert] : 0;
    float of_best = of_weight;
    if (p.normalize) {
      const float sum = warp_sum(best) + 1e-20f;
      of_best = (of_weight - warp_sum(of_weight * best) / sum) / sum;
    }
    for (int j = 0; j < p.k; ++j) {
      const int column = __shfl_sync(kAll, expert, j);
      const float part = __shfl_sync(kAll, of_best, j) * p.scale;
#pragma unroll
      for (int i = 0; i < kColumns; ++i)
        if (column_of(i) == column) grad[i] += part;
    }
  }
  float product = 0;  // of softmax
#pragma unroll
  for (int i = 0; i < kColumns; ++i) product += grad[i] * score[i];
  product = warp_sum(product);
#pragma unroll
  for (int i = 0; i < kColumns; ++i)
    if (column_of(i) < p.num_experts)
      p.grad_logits[row * p.num_experts + column_of(i)] =
          score[i] * (p.sigmoid ? grad[i] * (1 - score[i]) : grad[i] - product);
}

// Calls body(integral constant of the columns that a thread holds).
template <typename Body>
void with_columns(int64_t columns, Body body) {
  if (columns <= 1 * kWarp)
    body(std::integral_constant<int, 1>());
  else if (columns <= 2 * kWarp)
    body(std::integral_constant<int, 2>());
  else if (columns <= 4 * kWarp)
    body(std::integral_constant<int, 4>());
  else if (columns <= 8 * kWarp)
    body(std::integral_constant<int, 8>());
  else
    body(std::integral_constant<int, 16>());
}

// Launches kernel<columns of a thread>(problem) with a warp a row.
template <typename Kernel, typename Problem>
cudaError_t launch(Kernel kernel, const Problem& problem, cudaStream_t stream) {
  const auto grid = static_cast<unsigned>((problem.num_rows + kWarps - 1) / kWarps);
  kernel<<<grid, dim3(kWarp, kWarps), 0, stream>>>(problem);
  return cudaGetLastError();
}

}  // namespace

cudaError_t find_top_k(const TopK& top, cudaStream_t stream) {
  cudaError_t error = cudaSuccess;
  if (top.num_rows > 0)
    with_columns(top.columns, [&](auto columns) { error = launch(top_k_kernel<columns>, top, stream); });
  return error;
}

cudaError_t route_rows(const Routing& routing, cudaStream_t stream) {
  cudaError_t error = cudaSuccess;
  if (routing.num_rows > 0)
    with_columns(routing.num_experts,
                 [&](auto columns) { error = launch(route_kernel<columns>, routing, stream); });
  return error;
}

cudaError_t route_rows_backward(const RoutingBackward& routing, cudaStream_t stream) {
  cudaError_t error = cudaSuccess;
  if (routing.num_rows > 0)
    with_columns(routing.num_experts,
                 [&](auto columns) { error = launch(route_backward_kernel<columns>, routing, stream); });
  return error;
}

}  // namespace dmoerm::ops
