#include <ATen/Context.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <cuda_runtime_api.h>

#include "dmoerm/core/device_memory.h"

namespace dmoerm {
namespace {

constexpr auto kAll = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);

// Of a CUDA device ("cuda" without a number is the current one), whose allocator is there before its first
// tensor.
c10::DeviceIndex index_of(torch::Device device) {
  at::globalContext().lazyInitDevice(torch::kCUDA);
  return device.has_index() ? device.index() : c10::cuda::current_device();
}

}  // namespace

void use_device(torch::Device device) {
  if (device.is_cuda()) c10::cuda::set_device(index_of(device));
}

int64_t free_device_memory(torch::Device device) {
  if (!device.is_cuda()) return 0;
  const c10::DeviceIndex index = index_of(device);
  const c10::cuda::CUDAGuard guard(index);
  size_t free = 0, total = 0;
  if (cudaMemGetInfo(&free, &total) != cudaSuccess) return 0;
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(index);
  return static_cast<int64_t>(free) + stats.reserved_bytes[kAll].current -
         stats.allocated_bytes[kAll].current;
}

int64_t peak_device_memory(torch::Device device) {
  if (!device.is_cuda()) return 0;
  const c10::DeviceIndex index = index_of(device);
  const int64_t peak = c10::cuda::CUDACachingAllocator::getDeviceStats(index).allocated_bytes[kAll].peak;
  c10::cuda::CUDACachingAllocator::resetPeakStats(index);
  return peak;
}

void release_unused_memory(torch::Device device) {
  if (device.is_cuda()) c10::cuda::CUDACachingAllocator::emptyCache();
}

}  // namespace dmoerm
