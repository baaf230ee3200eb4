#include "dmoerm/ops/cuda/adamw.h"

#include "dmoerm/ops/cuda/device_float.cuh"

namespace dmoerm::ops {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kStep = kThreads * 4;    // numbers of a block's step, four a thread
constexpr int64_t kAdamBlock = kStep * 8;  // numbers of a block
constexpr int64_t kSquaresBlock = kStep * 32;

// The tensor that this block works on.
template <typename Table>
__device__ int tensor_of_block(const Table& table) {
  int low = 0, high = table.num_tensors;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (static_cast<int>(blockIdx.x) >= table.first_block[middle] ? low : high) = middle;
  }
  return low;
}

__device__ bool is_aligned(const void* address, int bytes) {
  return reinterpret_cast<uintptr_t>(address) % bytes == 0;
}

template <typename T>
__device__ bool fits_four(const void* address) {
  return is_aligned(address, 4 * sizeof(T));
}

__device__ bool fits_four(FloatType type, const void* address) {
  return is_aligned(address, type == FloatType::Float32 ? 16 : 8);
}

template <typename T>
__device__ Pack<float, 4> load_four_of(const void* from, int64_t i) {
  const Pack<T, 4> x = load_pack<T, 4>(static_cast<const T*>(from) + i);
  return {to_float(x.values[0]), to_float(x.values[1]), to_float(x.values[2]), to_float(x.values[3])};
}

__device__ Pack<float, 4> load_four(FloatType type, const void* from, int64_t i) {
  if (type == FloatType::BFloat16) return load_four_of<__nv_bfloat16>(from, i);
  if (type == FloatType::Float16) return load_four_of<__half>(from, i);
  return load_four_of<float>(from, i);
}

__device__ float load_one(FloatType type, const void* from, int64_t i) {
  if (type == FloatType::BFloat16) return to_float(static_cast<const __nv_bfloat16*>(from)[i]);
  if (type == FloatType::Float16) return to_float(static_cast<const __half*>(from)[i]);
  return static_cast<const float*>(from)[i];
}

template <typename T>
__device__ void store_four_of(void* to, int64_t i, const Pack<float, 4>& x) {
  Pack<T, 4> narrow;
#pragma unroll
  for (int n = 0; n < 4; ++n) assign(narrow.values[n], x.values[n]);
  store_pack<T, 4>(static_cast<T*>(to) + i, narrow);
}

__device__ void update(float& value, float grad, float& first, float& second, float scale,
                       const AdamWConstants& c) {
  grad *= scale;
  first = c.beta1 * first + c.one_minus_beta1 * grad;
  second = c.beta2 * second + c.one_minus_beta2 * grad * grad;
  value = c.decay * value - c.step_size * first / (sqrtf(second) * c.inverse_sqrt_bias2 + c.eps);
}

__global__ void adamw_kernel(const __grid_constant__ AdamWTable table) {
  const float scale = table.grad_scale ? *table.grad_scale : 1;
  if (!(scale > 0)) return;
  const int index = tensor_of_block(table);
  const AdamWTensor& t = table.tensors[index];
  const int64_t begin = (static_cast<int64_t>(blockIdx.x) - table.first_block[index]) * kAdamBlock;
  const int64_t end = begin + kAdamBlock < t.count ? begin + kAdamBlock : t.count;
  const bool packs = fits_four<float>(t.value) && fits_four<float>(t.first) && fits_four<float>(t.second) &&
                     fits_four(t.gradient_type, t.gradient) &&
                     (!t.parameter || fits_four(t.parameter_type, t.parameter));
  for (int64_t i = begin + threadIdx.x * 4; i < end; i += kStep) {
    if (packs && i + 4 <= end) {
      Pack<float, 4> value = load_pack<float, 4>(t.value + i), first = load_pack<float, 4>(t.first + i),
                     second = load_pack<float, 4>(t.second + i);
      const Pack<float, 4> grad = load_four(t.gradient_type, t.gradient, i);
#pragma unroll
      for (int n = 0; n < 4; ++n)
        update(value.values[n], grad.values[n], first.values[n], second.values[n], scale, table.constants);
      store_pack<float, 4>(t.value + i, value);
      store_pack<float, 4>(t.first + i, first);
      store_pack<float, 4>(t.second + i, second);
      if (!t.parameter) continue;
      if (t.parameter_type == FloatType::BFloat16)
        store_four_of<__nv_bfloat16>(t.parameter, i, value);
      else
        store_four_of<__half>(t.parameter, i, value);
      continue;
    }
    for (int64_t j = i; j < end && j < i + 4; ++j) {
      update(t.value[j], load_one(t.gradient_type, t.gradient, j), t.first[j], t.second[j], scale,
             table.constants);
      if (!t.parameter) continue;
      if (t.parameter_type == FloatType::BFloat16)
        assign(static_cast<__nv_bfloat16*>(t.parameter)[j], t.value[j]);
      else
        assign(static_cast<__half*>(t.parameter)[j], t.value[j]);
    }
  }
}

// The sum over the block, on its first thread.
__device__ double block_sum(double x) {
  __shared__ double of_thread[kThreads];
  of_thread[threadIdx.x] = x;
  for (int width = kThreads / 2; width > 0; width /= 2) {
    __syncthreads();
    if (threadIdx.x < width) of_thread[threadIdx.x] += of_thread[threadIdx.x + width];
  }
  return of_thread[0];
}

__global__ void squares_kernel(const __grid_constant__ NormTable table) {
  const int index = tensor_of_block(table);
  const NormTensor& t = table.tensors[index];
  const int64_t begin = (static_cast<int64_t>(blockIdx.x) - table.first_block[index]) * kSquaresBlock;
  const int64_t end = begin + kSquaresBlock < t.count ? begin + kSquaresBlock : t.count;
  const bool packs = fits_four(t.type, t.gradient);
  double sum = 0;
  for (int64_t i = begin + threadIdx.x * 4; i < end; i += kStep) {
    if (packs && i + 4 <= end) {
      const Pack<float, 4> x = load_four(t.type, t.gradient, i);
#pragma unroll
      for (int n = 0; n < 4; ++n) sum += static_cast<double>(x.values[n]) * x.values[n];
      continue;
    }
    for (int64_t j = i; j < end && j < i + 4; ++j) {
      const double x = load_one(t.type, t.gradient, j);
      sum += x * x;
    }
  }
  const double total = block_sum(sum);
  if (threadIdx.x == 0) table.partial[blockIdx.x] = total;
}

__global__ void root_kernel(const double* partial, int64_t count, double* norm) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += kThreads) sum += partial[i];
  const double total = block_sum(sum);
  if (threadIdx.x == 0) *norm = sqrt(total);
}

// Fills first_block; returns the number of blocks.
template <typename Table>
unsigned place_blocks(Table& table, int64_t numbers_of_block) {
  int32_t blocks = 0;
  for (int i = 0; i < table.num_tensors; ++i) {
    table.first_block[i] = blocks;
    blocks += static_cast<int32_t>(num_blocks(table.tensors[i].count, numbers_of_block));
  }
  table.first_block[table.num_tensors] = blocks;
  return static_cast<unsigned>(blocks);
}

}  // namespace

cudaError_t adamw(AdamWTable& table, cudaStream_t stream) {
  const unsigned grid = place_blocks(table, kAdamBlock);
  if (grid == 0) return cudaSuccess;
  adamw_kernel<<<grid, kThreads, 0, stream>>>(table);
  return cudaGetLastError();
}

int64_t num_square_blocks(int64_t count) {
  return num_blocks(count, kSquaresBlock);
}

cudaError_t squares(NormTable& table, cudaStream_t stream) {
  const unsigned grid = place_blocks(table, kSquaresBlock);
  if (grid == 0) return cudaSuccess;
  squares_kernel<<<grid, kThreads, 0, stream>>>(table);
  return cudaGetLastError();
}

cudaError_t root_of_sum(const double* partial, int64_t count, double* norm, cudaStream_t stream) {
  root_kernel<<<1, kThreads, 0, stream>>>(partial, count, norm);
  return cudaGetLastError();
}

}  // namespace dmoerm::ops
