// Dropout whose mask depends on nothing but what the row is, so that packing and sharing do not change it.
#pragma once

#include <cstdint>
#include <span>

#include "dmoerm/core/compat.h"

namespace dmoerm::ops {

struct RowDropout {
  double probability = 0;              // 0: none; below 1
  uint64_t seed = 0;                   // of the step and the layer
  std::span<const uint64_t> row_keys;  // [T]
  // Where defined, row i has the key row_keys[place_N[i]]; int64, on the device of the rows.
  Tensor place_N = {};
};

// Inverted dropout whose mask is a function of (seed, row key, column) alone: element (t, i) is kept, and
// scaled by 1/(1-p), or zeroed. Differentiable.
Tensor row_dropout(const Tensor& x_TI, const RowDropout& dropout);
Tensor row_dropout_reference(const Tensor& x_TI, const RowDropout& dropout);

// The same mask as a value that may outlive the span, for use inside other operations; not differentiable.
class RowMask {
 public:
  explicit RowMask(const RowDropout& dropout);
  bool active() const { return probability_ > 0; }
  // Rows of x_NI are rows [begin, begin + N) of the mask.
  Tensor apply(const Tensor& x_NI, int64_t begin) const;
  void add_to(Tensor y_NI, const Tensor& x_NI, int64_t begin) const;  // y += mask * x / (1 - p)
  Tensor factors(const Tensor& x_NI, int64_t begin) const;            // 0 or 1/(1-p), in plain operations

 private:
  void run_kernel(const Tensor& x_NI, const Tensor& y_NI, int64_t begin, bool add) const;
  // Of `count` rows from `begin` on; copied once for a device.
  Tensor keys_on(torch::Device device, int64_t begin, int64_t count) const;
  double probability_;
  mutable Tensor key_N_;  // int64: hash of seed and row key; undefined when there is no dropout
};

}  // namespace dmoerm::ops
