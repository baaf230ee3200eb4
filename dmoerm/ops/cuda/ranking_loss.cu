// A step has some hundred edges: what counts is the number of launches. No atomic additions, so that a run
// repeats its bits.
#include "dmoerm/ops/cuda/ranking_loss.h"

namespace dmoerm::ops {
namespace {

constexpr int kThreads = 1024;  // of the one block that adds up the terms
constexpr int kRowThreads = 128;
constexpr int kWarp = 32;

__device__ float softplus(float x) {
  return fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x)));
}

__device__ float sigmoid(float x) {
  const float e = expf(-fabsf(x));
  return (x >= 0 ? 1.0f : e) / (1.0f + e);
}

__device__ float warp_sum(float x) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) x += __shfl_xor_sync(0xffffffff, x, offset);
  return x;
}

__global__ void __launch_bounds__(kThreads)
    forward_kernel(RankingLoss p, float* sum, float* slope_better, float* slope_worse) {
  const float eps = p.label_smoothing;
  float total = 0;
  for (int64_t i = threadIdx.x; i < p.edges; i += kThreads) {
    const float better = p.reward[p.better[i]], worse = p.reward[p.worse[i]];
    const float gap = better - worse, margin = p.margin[i], weight = p.weight[i], both = better + worse;
    const float term = (1 - eps) * softplus(margin - gap) + (eps > 0 ? eps * softplus(margin + gap) : 0);
    const float of_gap = -(1 - eps) * sigmoid(margin - gap) + (eps > 0 ? eps * sigmoid(margin + gap) : 0);
    const float of_both = p.centering > 0 ? 2 * p.centering * both : 0;
    total += weight * (p.centering > 0 ? term + p.centering * both * both : term);
    slope_better[i] = weight * (of_gap + of_both);
    slope_worse[i] = weight * (of_both - of_gap);
  }
  __shared__ float of_warp[kThreads / kWarp];
  total = warp_sum(total);
  if (threadIdx.x % kWarp == 0) of_warp[threadIdx.x / kWarp] = total;
  __syncthreads();
  if (threadIdx.x >= kWarp) return;
  total = warp_sum(of_warp[threadIdx.x]);
  if (threadIdx.x == 0) *sum = total;
}

// Each row looks through all edges; the threads of a warp read the same ones.
__global__ void backward_kernel(RankingLoss p, const float* slope_better, const float* slope_worse,
                                const float* grad_sum, float* grad_reward) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kRowThreads + threadIdx.x;
  if (row >= p.rows) return;
  float slope = 0;
  for (int64_t i = 0; i < p.edges; ++i) {
    if (p.better[i] == row) slope += slope_better[i];
    if (p.worse[i] == row) slope += slope_worse[i];
  }
  grad_reward[row] = slope * *grad_sum;
}

}  // namespace

cudaError_t ranking_loss_forward(const RankingLoss& loss, float* sum, float* slope_better, float* slope_worse,
                                 cudaStream_t stream) {
  forward_kernel<<<1, kThreads, 0, stream>>>(loss, sum, slope_better, slope_worse);
  return cudaGetLastError();
}

cudaError_t ranking_loss_backward(const RankingLoss& loss, const float* slope_better,
                                  const float* slope_worse, const float* grad_sum, float* grad_reward,
                                  cudaStream_t stream) {
  if (loss.rows == 0) return cudaSuccess;
  const auto blocks = static_cast<unsigned>((loss.rows + kRowThreads - 1) / kRowThreads);
  backward_kernel<<<blocks, kRowThreads, 0, stream>>>(loss, slope_better, slope_worse, grad_sum, grad_reward);
  return cudaGetLastError();
}

}  // namespace dmoerm::ops
