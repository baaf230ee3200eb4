#include "dmoerm/core/runtime.h"

#include <dlfcn.h>
#include <malloc.h>
#include <sched.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <string_view>
#include <thread>

#include "dmoerm/core/device_memory.h"
#include "dmoerm/core/error.h"
#include "dmoerm/core/log.h"

namespace dmoerm {
namespace {

template <typename Function>
Function* find_symbol(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

// OpenBLAS with run-time detection does not know processors newer than itself and falls back to kernels
// without AVX, 4 times slower. Choose by what the processor can do, unless the user has chosen.
void choose_openblas_kernels() {
#if defined(__x86_64__) && defined(__GNUC__)
  const auto core_name = find_symbol<const char*()>("openblas_get_corename");
  const auto quit = find_symbol<void()>("gotoblas_dynamic_quit"),
             init = find_symbol<void()>("gotoblas_dynamic_init");
  if (!core_name || !quit || !init || std::getenv("OPENBLAS_CORETYPE")) return;
  const std::string_view detected = core_name();
  for (const std::string_view modern : {"Haswell", "Zen", "SkylakeX", "Cooperlake", "SapphireRapids"})
    if (detected == modern) return;
  __builtin_cpu_init();
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (!avx512 && !avx2) return;
  setenv("OPENBLAS_CORETYPE", avx512 ? "SkylakeX" : "Haswell", 1);
  quit();
  init();
  unsetenv("OPENBLAS_CORETYPE");
  log().debug("OpenBLAS: kernels of {} instead of {}", core_name(), detected);
#endif
}

// Those that this process may use, which a container or taskset may bound.
int available_cores() {
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof cores, &cores) == 0) return CPU_COUNT(&cores);
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

// float32 products run in OpenBLAS, whose threads LibTorch does not bind.
void set_openblas_threads(int threads) {
  if (const auto setter = find_symbol<void(int)>("openblas_set_num_threads")) setter(threads);
}

double time_matmul(torch::Device device) {
  const int64_t n = device.is_cuda() ? 8192 : 1024;
  const auto type = device.is_cuda() ? torch::kBFloat16 : torch::kFloat32;
  const Tensor a = torch::randn({n, n}, torch::TensorOptions(device).dtype(type));
  Tensor c = torch::mm(a, a);
  double best = 1e30;
  for (int i = 0; i < 5; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    torch::mm_out(c, a, a);
    if (device.is_cuda()) c[0][0].item<float>();  // waits for the device
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return 2.0 * static_cast<double>(n) * n * n / best;
}

constexpr int64_t kMostThreads = 4096;

}  // namespace

torch::Device init_runtime(const RuntimeOptions& options) {
  // Fresh large blocks cost page faults: keep freed memory and never map blocks one by one.
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);
  if (options.threads < 0 || options.threads > kMostThreads)
    fail("threads", "{} threads, expected 0 (as many as cores) to {}", options.threads, kMostThreads);
  const int threads = options.threads > 0 ? static_cast<int>(options.threads) : available_cores();
  at::set_num_threads(threads);
  choose_openblas_kernels();
  set_openblas_threads(threads);
  torch::Device device(torch::kCPU);
  try {
    device = torch::Device(options.device);
  } catch (const c10::Error&) {
    fail("device", "\"{}\" is not a device: expected cpu, cuda or cuda:N", options.device);
  }
  if (!device.is_cpu() && !device.is_cuda())
    fail("device", "{} is not supported: expected cpu or cuda", options.device);
  if (device.is_cuda() && !torch::cuda::is_available())
    fail("device", "this machine or build has no CUDA device");
  if (device.is_cuda() && device.index() >= static_cast<int>(torch::cuda::device_count()))
    fail("device", "{} is not there: found {} CUDA devices", options.device, torch::cuda::device_count());
  use_device(device);
  return device;
}

torch::ScalarType compute_dtype(const RuntimeOptions& options, torch::Device device) {
  if (options.dtype == "float32") return torch::kFloat32;
  if (options.dtype == "bfloat16") return torch::kBFloat16;
  if (options.dtype != "auto")
    fail("dtype", "\"{}\" is not supported: expected auto, float32 or bfloat16", options.dtype);
  return device.is_cuda() ? torch::kBFloat16 : torch::kFloat32;
}

double measured_matmul_rate(torch::Device device) {
  static std::map<std::string, double> rates;
  double& rate = rates[device.str()];
  if (rate == 0) rate = time_matmul(device);
  return rate;
}

}  // namespace dmoerm
