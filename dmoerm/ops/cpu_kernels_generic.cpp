// The CPU kernels for any processor (128-bit vectors).
#include "dmoerm/ops/cpu_kernels.h"

#define DMOERM_KERNELS kGenericKernels
#define DMOERM_KERNELS_NAME "generic"
#define DMOERM_VECTOR_BYTES 16
#define DMOERM_TILE_VECTORS 2
#include "dmoerm/ops/cpu_kernels.inc"
