#include "dmoerm/ops/cpu_kernels.h"

namespace dmoerm::ops {

CpuKernelList usable_cpu_kernels() {
  CpuKernelList list = {{&detail::kGenericKernels}, 1};
#ifdef DMOERM_X86_KERNELS
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (avx2) list.kernels[list.count++] = &detail::kAvx2Kernels;
  if (avx2 && __builtin_cpu_supports("avx512f")) list.kernels[list.count++] = &detail::kAvx512Kernels;
#endif
  return list;
}

const CpuKernels& cpu_kernels() {
  static const CpuKernelList list = usable_cpu_kernels();
  return *list.kernels[list.count - 1];
}

}  // namespace dmoerm::ops
