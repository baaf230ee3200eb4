// A copy from the host by a kernel instead of the copy engine.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace dmoerm {

// target = source, `bytes` bytes, both aligned to 16: source in pinned memory of the host, target on the
// device. The copy engine takes one copy after another, whatever their streams, so that a batch's small
// tables would wait for a base of gigabytes that is moved beside them; a kernel of a few blocks fills the bus
// as well.
cudaError_t read_from_host(const void* source, void* target, int64_t bytes, cudaStream_t stream);

}  // namespace dmoerm
