// Values of the host as tensors of a device.
#pragma once

#include <span>
#include <vector>

#include "dmoerm/core/compat.h"

namespace dmoerm {

// x on the device. On CUDA through pinned memory, so that the host does not wait for the device.
inline Tensor copy_to_device(const Tensor& x, torch::Device device) {
  if (!device.is_cuda() || x.is_cuda()) return x.to(device);
  return x.pin_memory().to(device, /*non_blocking=*/true);
}

// target = source, a tensor of the host; the host does not wait here either.
inline void copy_from_host(const Tensor& target, const Tensor& source) {
  target.copy_(target.is_cuda() ? source.pin_memory() : source, /*non_blocking=*/true);
}

// In the values' own type (torch::tensor alone would widen int32).
template <typename T>
Tensor copy_to_device(const std::vector<T>& values, torch::Device device) {
  return copy_to_device(torch::tensor(values, c10::CppTypeToScalarType<T>::value), device);
}

}  // namespace dmoerm
