#include "apps/dmoerm/run_flags.h"

#include <csignal>

namespace dmoerm::app {

train::RunOptions RunFlags::start() const {
  const auto stop = [](int) {
    train::request_stop();
    std::signal(SIGINT, SIG_DFL);  // a second interrupt ends at once
  };
  std::signal(SIGINT, stop);
  std::signal(SIGTERM, stop);
  const torch::Device device = init_runtime(runtime);
  return {resume, device, compute_dtype(runtime, device)};
}

}  // namespace dmoerm::app
