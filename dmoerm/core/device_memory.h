// Memory of a device: how much is free, and what to do when it runs out.
#pragma once

#include <cstdint>

#include "dmoerm/core/compat.h"

namespace dmoerm {

// What a device throws when its memory is used up.
using OutOfMemory = c10::OutOfMemoryError;

// Makes a CUDA device the one that kernels run on by default.
void use_device(torch::Device device);

// Bytes that tensors may still take on a CUDA device, what the allocator holds unused included; 0: not known
// (CPU).
int64_t free_device_memory(torch::Device device);

// Most bytes that tensors took since the last call, which begins a new count; 0: not known (CPU).
int64_t peak_device_memory(torch::Device device);

// Gives memory that the allocator holds unused back to the device.
void release_unused_memory(torch::Device device);

}  // namespace dmoerm
