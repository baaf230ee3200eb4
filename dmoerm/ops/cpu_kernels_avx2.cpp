// The CPU kernels for processors with AVX2.
#include "dmoerm/ops/cpu_kernels.h"

#ifdef DMOERM_X86_KERNELS
#pragma GCC target("avx2,fma")
#define DMOERM_KERNELS kAvx2Kernels
#define DMOERM_KERNELS_NAME "avx2"
#define DMOERM_VECTOR_BYTES 32
#define DMOERM_TILE_VECTORS 2
#include "dmoerm/ops/cpu_kernels.inc"
#endif
