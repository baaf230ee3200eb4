#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <cuda_runtime_api.h>

#include "dmoerm/core/device_memory.h"

namespace dmoerm {

namespace {

constexpr auto kAll = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);

}  // namespace

void use_device(torch::Device device) {
  if (device.is_cuda() && device.has_index()) c10::cuda::set_device(device.index());
}

int64_t free_device_memory(torch::Device device) {
  if (!device.is_cuda()) return 0;
  const c10::cuda::CUDAGuard guard(device);
  size_t free = 0, total = 0;
  if (cudaMemGetInfo(&free, &total) != cudaSuccess) return 0;
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(c10::cuda::current_device());
  return static_cast<int64_t>(free) + stats.reserved_bytes[kAll].current -
         stats.allocated_bytes[kAll].current;
}

int64_t peak_device_memory(torch::Device device) {
  if (!device.is_cuda()) return 0;
  const c10::cuda::CUDAGuard guard(device);
  const auto index = c10::cuda::current_device();
  const int64_t peak = c10::cuda::CUDACachingAllocator::getDeviceStats(index).allocated_bytes[kAll].peak;
  c10::cuda::CUDACachingAllocator::resetPeakStats(index);
  return peak;
}

void release_unused_memory(torch::Device device) {
  if (device.is_cuda()) c10::cuda::CUDACachingAllocator::emptyCache();
}

}  // namespace dmoerm
