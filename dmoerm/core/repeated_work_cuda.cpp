#include "dmoerm/core/repeated_work.h"

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <map>

#include "dmoerm/core/device_memory.h"

namespace dmoerm {
namespace {

// Recording needs another stream than the default one. Always the same: cuBLAS keeps memory for each.
c10::cuda::CUDAStream recording_stream(c10::DeviceIndex device) {
  thread_local std::map<c10::DeviceIndex, c10::cuda::CUDAStream> streams;
  return streams.try_emplace(device, c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device))
      .first->second;
}

}  // namespace

struct RepeatedWork::Graph {
  at::cuda::CUDAGraph graph;

  void record(const std::function<void()>& work) {
    // Other threads may allocate meanwhile, such as one that packs the next batch.
    graph.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
    try {
      work();
    } catch (...) {
      try {
        graph.capture_end();
      } catch (...) {  // a recording that broke off ends with an error of its own
      }
      throw;
    }
    graph.capture_end();
  }
};

void RepeatedWork::run() {
  if (!device_.is_cuda() || !has_run_) {  // the first run lets libraries set themselves up
    work_();
    has_run_ = true;
    return;
  }
  const c10::cuda::CUDAGuard guard(device_);
  if (!graph_) {
    const c10::cuda::CUDAStreamGuard on_stream(recording_stream(device_.index()));
    const auto record = [this] {
      auto graph = std::make_shared<Graph>();
      graph->record(work_);
      return graph;
    };
    try {
      graph_ = record();
    } catch (const OutOfMemory&) {  // what the allocator holds unused is not for a recording
    }
    if (!graph_) {
      release_unused_memory(device_);
      graph_ = record();
    }
  }
  graph_->graph.replay();
}

}  // namespace dmoerm
