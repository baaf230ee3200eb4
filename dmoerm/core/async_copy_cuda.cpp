#include "dmoerm/core/async_copy.h"

#include <ATen/cuda/CUDAEvent.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "dmoerm/core/cuda/host_read.h"
#include "dmoerm/core/error.h"

namespace dmoerm {

Tensor host_memory(int64_t bytes, torch::Device device) {
  if (!device.is_cuda()) return torch::empty({bytes}, torch::kUInt8);
  const c10::cuda::CUDAGuard guard(device);
  void* memory = nullptr;
  C10_CUDA_CHECK(cudaHostAlloc(&memory, static_cast<size_t>(bytes), cudaHostAllocPortable));
  return torch::from_blob(
      memory, {bytes}, [](void* freed) { cudaFreeHost(freed); }, torch::kUInt8);
}

struct AsyncCopy::State {
  at::cuda::CUDAEvent done;
  c10::DeviceIndex device;
};

void AsyncCopy::start(const Tensor& target, const Tensor& source) {
  const torch::NoGradGuard no_grad;
  if (!target.is_cuda()) {
    Tensor(target).copy_(source);
    return;
  }
  const c10::cuda::CUDAGuard guard(target.device());
  state_ = std::make_shared<State>();
  state_->device = target.device().index();
  at::cuda::CUDAEvent before;
  before.record(c10::cuda::getCurrentCUDAStream());
  const c10::cuda::CUDAStream stream =
      c10::cuda::getStreamFromPool(/*isHighPriority=*/false, target.device().index());
  before.block(stream);
  DMOERM_ASSERT(source.is_pinned() && source.is_contiguous() && target.is_contiguous() &&
                source.nbytes() == target.nbytes());
  C10_CUDA_CHECK(read_from_host(source.data_ptr(), target.data_ptr(), static_cast<int64_t>(source.nbytes()),
                                stream.stream()));
  state_->done.record(stream);
}

void AsyncCopy::finish() {
  if (!state_) return;
  state_->done.block(c10::cuda::getCurrentCUDAStream(state_->device));
  state_.reset();
}

}  // namespace dmoerm
