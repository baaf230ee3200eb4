// RMS norm, rotary positions and SwiGLU on raw pointers of a GPU. Arithmetic in float32; strides in numbers,
// the innermost is 1. Nothing here waits.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "dmoerm/ops/cuda/float_type.h"

namespace dmoerm::ops {

// sum = x + delta rounded to the type, y = sum / rms(sum) * weight. Without delta, sum is x and is not
// written.
struct RmsNormForward {
  FloatType type, weight_type;  // the weight's: float32, or as x
  const void *x, *delta, *weight;
  void *sum, *y;
  float* inverse_rms;                           // [rows]
  int64_t rows, width, x_stride, delta_stride;  // sum and y are contiguous
  float eps;
};
cudaError_t rms_norm_forward(const RmsNormForward& norm, cudaStream_t stream);

// grad_x = the norm's gradient at `sum`, plus grad_sum where there is one. grad_weight (float32) where it is
// asked for: partial [partial_rows, width] float32 is written, its column sums are the gradient.
struct RmsNormBackward {
  FloatType type, weight_type;
  const void *sum, *weight, *grad_y, *grad_sum;
  const float* inverse_rms;
  void* grad_x;
  float* partial;
  int64_t rows, width, sum_stride;
};
int64_t rms_norm_partial_rows(int64_t rows, int64_t width);
cudaError_t rms_norm_backward(const RmsNormBackward& norm, cudaStream_t stream);

// x [rows, heads, channels] -> y, contiguous: channels i and i + half of the first 2 * half turn by the angle
// whose cosine and sine are cos and sin [rows, half], the others are copied. direction -1 turns back.
struct Rotary {
  FloatType type;
  const void* x;
  void* y;
  const float *cos, *sin;
  int64_t rows, heads, channels, half, row_stride, head_stride;
  float direction;
};
cudaError_t rotary(const Rotary& turn, cudaStream_t stream);

// Rows of [rows, width] that may lie apart.
struct SwigluInputs {
  FloatType type;
  const void *gate, *up;
  int64_t rows, width, gate_stride, up_stride;
};

// y = silu(gate) * up, contiguous.
struct Swiglu {
  SwigluInputs inputs;
  void* y;
};
cudaError_t swiglu_forward(const Swiglu& op, cudaStream_t stream);

// The gradients of gate and up, whose rows lie equally far apart, from y's, contiguous.
struct SwigluBackward {
  SwigluInputs inputs;
  const void* grad_y;
  void *grad_gate, *grad_up;
  int64_t grad_stride;
};
cudaError_t swiglu_backward(const SwigluBackward& op, cudaStream_t stream);

}  // namespace dmoerm::ops
