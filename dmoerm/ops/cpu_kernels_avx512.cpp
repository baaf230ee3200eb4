// The CPU kernels for processors with AVX512.
#include "dmoerm/ops/cpu_kernels.h"

#ifdef DMOERM_X86_KERNELS
#pragma GCC target("avx2,fma,avx512f")
#define DMOERM_KERNELS kAvx512Kernels
#define DMOERM_KERNELS_NAME "avx512"
#define DMOERM_VECTOR_BYTES 64
#define DMOERM_TILE_VECTORS 4
#include "dmoerm/ops/cpu_kernels.inc"
#endif
