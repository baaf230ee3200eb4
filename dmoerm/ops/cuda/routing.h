// The best experts of each row. T rows, E experts, k experts a row. Raw pointers on the GPU; all contiguous.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace dmoerm::ops {

constexpr int64_t kMostColumns = 512;  // E
constexpr int64_t kMostWeights = 32;   // k of the routing

// x [rows, columns] float32, columns at most kMostColumns -> best [rows, k]: the columns of the k largest,
// the largest first, of equals the first; NaN is the largest. k is at most `columns`.
struct TopK {
  const float* x;
  int64_t* best;
  int64_t num_rows, columns, k;
};
cudaError_t find_top_k(const TopK& top, cudaStream_t stream);

// scores = softmax or sigmoid of the logits; expert: the k best of scores + bias, in find_top_k's order;
// weight = scores of those, over their sum (plus 1e-20) if `normalize`, times `scale`. logits and scores [T,
// E] float32, expert [T, k], weight [T, k] float32; bias [E] may be null.
struct Routing {
  const float *logits, *bias;
  float* scores;
  int64_t* expert;
  float* weight;
  int64_t num_rows, num_experts, k;
  bool sigmoid, normalize;
  float scale;
};
cudaError_t route_rows(const Routing& routing, cudaStream_t stream);

// The gradient of the logits [T, E] by those of the weights [T, k] and of the scores [T, E], either of which
// may be null.
struct RoutingBackward {
  const float* scores;
  const int64_t* expert;
  const float *grad_weight, *grad_scores;
  float* grad_logits;
  int64_t num_rows, num_experts, k;
  bool sigmoid, normalize;
  float scale;
};
cudaError_t route_rows_backward(const RoutingBackward& routing, cudaStream_t stream);

}  // namespace dmoerm::ops
