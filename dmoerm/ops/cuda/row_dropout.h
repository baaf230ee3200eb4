// Row dropout (see ops/row_dropout.h). Raw pointers on the GPU.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace dmoerm::ops {

enum class DropoutType { Float32, BFloat16, Float16 };

// y = mask * x * scale, or with `add` y += that. x and y [rows, width] contiguous, at multiples of 16 bytes
// and their rows too. Element (t, c) is kept when the 32-bit hash of keys[t] and c reaches `threshold`. In
// place is allowed.
struct DroppedRows {
  DropoutType type;
  const void* x;
  void* y;
  const uint64_t* keys;
  int64_t num_rows, width;
  uint32_t threshold;
  float scale;
  bool add;
};
cudaError_t drop_in_rows(const DroppedRows& rows, cudaStream_t stream);

}  // namespace dmoerm::ops
