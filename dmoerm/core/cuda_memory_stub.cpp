#include "dmoerm/core/device_memory.h"

namespace dmoerm {

void use_device(torch::Device) {}

int64_t free_device_memory(torch::Device) {
  return 0;
}

int64_t peak_device_memory(torch::Device) {
  return 0;
}

void release_unused_memory(torch::Device) {}

}  // namespace dmoerm
