// Copies to a device beside the work that is queued there.
#pragma once

#include <memory>

#include "dmoerm/core/compat.h"

namespace dmoerm {

// So many bytes of the host, for a device to read: pinned for CUDA, and not more than asked for (LibTorch's
// own allocator would take the next power of two). uint8 [bytes].
Tensor host_memory(int64_t bytes, torch::Device device);

// Several copies may be under way; each has its own AsyncCopy. On CUDA the host never waits, and the source
// is host_memory(); on the CPU a copy is done at once.
class AsyncCopy {
 public:
  // Queues target = source on a stream of its own, after all work that is queued so far (which may still use
  // the target).
  void start(const Tensor& target, const Tensor& source);
  // Work that is queued from now on waits for the copy.
  void finish();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace dmoerm
