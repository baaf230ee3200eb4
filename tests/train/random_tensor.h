// Tensors of counted random numbers.
#pragma once

#include "dmoerm/core/compat.h"
#include "dmoerm/core/random.h"

namespace dmoerm::train {

// float64, standard normal.
inline Tensor normal(at::IntArrayRef shape, uint64_t seed) {
  Tensor values = torch::empty(shape, torch::kFloat64);
  RandomStream random(seed, "test");
  for (int64_t i = 0; i < values.numel(); ++i) values.data_ptr<double>()[i] = random.normal();
  return values;
}

}  // namespace dmoerm::train
