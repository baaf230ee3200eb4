// Micro benchmarks of the ops. DMOERM_THREADS sets the number of threads (all cores without it).
#include <benchmark/benchmark.h>

#include <cstdlib>

#include "dmoerm/core/runtime.h"
#include "dmoerm/ops/cpu_kernels.h"

int main(int argc, char** argv) {
  dmoerm::RuntimeOptions options;
  if (const char* threads = std::getenv("DMOERM_THREADS")) options.threads = std::atoi(threads);
  const torch::Device device = dmoerm::init_runtime(options);
  torch::manual_seed(1);
  benchmark::AddCustomContext("threads", std::to_string(at::get_num_threads()));
  benchmark::AddCustomContext("kernels", dmoerm::ops::cpu_kernels().name);
  const auto add_rate = [](const char* name, torch::Device of) {
    const double rate = dmoerm::measured_matmul_rate(of) / 1e9;
    benchmark::AddCustomContext(name, std::to_string(static_cast<int64_t>(rate)));
  };
  add_rate("matmul_gflops", device);
  if (torch::cuda::is_available()) add_rate("cuda_matmul_gflops", torch::kCUDA);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
}
