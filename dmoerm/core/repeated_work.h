// Work that is done again and again on the same tensors, such as the steps of a small model: on CUDA it is
// recorded as a graph and then queued with one call.
#pragma once

#include <functional>
#include <memory>

#include "dmoerm/core/compat.h"

namespace dmoerm {

class RepeatedWork {
 public:
  // `work` reads and changes tensors that stay where they are, never waits for the device and does the same
  // whatever their values. Tensors that it makes hold what the latest run left in them.
  RepeatedWork(torch::Device device, std::function<void()> work) : device_(device), work_(std::move(work)) {}
  void run();

 private:
  struct Graph;

  torch::Device device_;
  std::function<void()> work_;
  bool has_run_ = false;
  std::shared_ptr<Graph> graph_;  // on CUDA, from the second run on
};

}  // namespace dmoerm
