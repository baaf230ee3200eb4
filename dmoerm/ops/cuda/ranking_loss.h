// Bradley-Terry's loss over edges between rewards (ranking_loss.h). Raw pointers on the GPU; contiguous.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace dmoerm::ops {

struct RankingLoss {
  const float* reward;            // [rows]
  const int64_t *better, *worse;  // [edges]: rows
  const float *weight, *margin;   // [edges]
  int64_t rows, edges;
  float label_smoothing, centering;
};

// sum [1]: the sum of the weighted terms, in a fixed order. slope_better, slope_worse [edges]: the gradient
// of an edge's term in its two rewards.
cudaError_t ranking_loss_forward(const RankingLoss& loss, float* sum, float* slope_better, float* slope_worse,
                                 cudaStream_t stream);

// grad_reward [rows]: the sum of the slopes of a row's edges, in their order, times grad_sum [1].
cudaError_t ranking_loss_backward(const RankingLoss& loss, const float* slope_better,
                                  const float* slope_worse, const float* grad_sum, float* grad_reward,
                                  cudaStream_t stream);

}  // namespace dmoerm::ops
