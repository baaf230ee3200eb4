// Memory sets the pace: every number is read and written once, 16 bytes at a time where the addresses allow.
#include "dmoerm/ops/cuda/elementwise.h"

#include <algorithm>
#include <numeric>

#include "dmoerm/ops/cuda/device_float.cuh"

namespace dmoerm::ops {
namespace {

constexpr int kThreads = 256;
constexpr int kWarp = 32;

// A row's sum on all of its threads: a warp, or the whole block of kThreads.
template <int kThreadsOfRow>
__device__ float row_sum(float x) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) x += __shfl_xor_sync(0xffffffff, x, offset);
  if (kThreadsOfRow == kWarp) return x;
  __shared__ float of_warp[kThreads / kWarp];
  __syncthreads();  // what was read of an earlier row
  if (threadIdx.x % kWarp == 0) of_warp[threadIdx.x / kWarp] = x;
  __syncthreads();
  float total = 0;
#pragma unroll
  for (int w = 0; w < kThreads / kWarp; ++w) total += of_warp[w];
  return total;
}

template <typename T, typename W, int N, int kThreadsOfRow>
__global__ void rms_norm_kernel(RmsNormForward p) {
  constexpr int kRowsOfBlock = kThreads / kThreadsOfRow;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kRowsOfBlock + threadIdx.x / kThreadsOfRow;
  if (row >= p.rows) return;  // whole warps, or the whole block
  const int first = threadIdx.x % kThreadsOfRow * N;
  const T* const x = static_cast<const T*>(p.x) + row * p.x_stride;
  const T* const delta = p.delta ? static_cast<const T*>(p.delta) + row * p.delta_stride : nullptr;
  T* const sum = p.sum ? static_cast<T*>(p.sum) + row * p.width : nullptr;
  float squares = 0;
  for (int64_t i = first; i < p.width; i += kThreadsOfRow * N) {
    Pack<T, N> a = load_pack<T, N>(x + i);
    if (delta) {
      const Pack<T, N> b = load_pack<T, N>(delta + i);
#pragma unroll
      for (int n = 0; n < N; ++n) assign(a.values[n], to_float(a.values[n]) + to_float(b.values[n]));
      store_pack<T, N>(sum + i, a);
    }
#pragma unroll
    for (int n = 0; n < N; ++n) squares += to_float(a.values[n]) * to_float(a.values[n]);
  }
  const float scale = rsqrtf(row_sum<kThreadsOfRow>(squares) / static_cast<float>(p.width) + p.eps);
  if (first == 0) p.inverse_rms[row] = scale;
  const T* const from = delta ? sum : x;  // each thread reads what it read or wrote before: near at hand
  T* const y = static_cast<T*>(p.y) + row * p.width;
  const W* const weight = static_cast<const W*>(p.weight);
  for (int64_t i = first; i < p.width; i += kThreadsOfRow * N) {
    Pack<T, N> a = load_pack<T, N>(from + i);
    const Pack<W, N> w = load_pack<W, N>(weight + i);
#pragma unroll
    for (int n = 0; n < N; ++n) assign(a.values[n], to_float(a.values[n]) * scale * to_float(w.values[n]));
    store_pack<T, N>(y + i, a);
  }
}

// With n = x * inverse_rms and g = grad_y * weight: grad_x = inverse_rms * (g - n * mean(g * n)). A block
// takes every gridDim.x-th set of rows, and adds up grad_y * n of its rows in shared memory, each thread its
// own columns.
template <typename T, typename W, int N, int kThreadsOfRow>
__global__ void rms_norm_backward_kernel(RmsNormBackward p) {
  constexpr int kRowsOfBlock = kThreads / kThreadsOfRow;
  extern __shared__ float sums[];  // [kRowsOfBlock, width], where the weight's gradient is asked for
  const int place = threadIdx.x / kThreadsOfRow, first = threadIdx.x % kThreadsOfRow * N;
  float* const my_sums = sums + place * p.width;
  if (p.partial)
    for (int64_t i = first; i < p.width; i += kThreadsOfRow * N)
#pragma unroll
      for (int n = 0; n < N; ++n) my_sums[i + n] = 0;
  const W* const weight = static_cast<const W*>(p.weight);
  for (int64_t row = static_cast<int64_t>(blockIdx.x) * kRowsOfBlock + place; row < p.rows;
       row += static_cast<int64_t>(gridDim.x) * kRowsOfBlock) {
    const T* const x = static_cast<const T*>(p.sum) + row * p.sum_stride;
    const T* const grad_y = static_cast<const T*>(p.grad_y) + row * p.width;
    const T* const grad_sum = p.grad_sum ? static_cast<const T*>(p.grad_sum) + row * p.width : nullptr;
    T* const grad_x = static_cast<T*>(p.grad_x) + row * p.width;
    const float scale = p.inverse_rms[row];
    float dot = 0;
    for (int64_t i = first; i < p.width; i += kThreadsOfRow * N) {
      const Pack<T, N> a = load_pack<T, N>(x + i), g = load_pack<T, N>(grad_y + i);
      const Pack<W, N> w = load_pack<W, N>(weight + i);
#pragma unroll
      for (int n = 0; n < N; ++n) {
        const float normed = to_float(a.values[n]) * scale, grad = to_float(g.values[n]);
        dot += grad * to_float(w.values[n]) * normed;
        if (p.partial) my_sums[i + n] += grad * normed;
      }
    }
    const float mean = row_sum<kThreadsOfRow>(dot) / static_cast<float>(p.width);
    for (int64_t i = first; i < p.width; i += kThreadsOfRow * N) {
      Pack<T, N> a = load_pack<T, N>(x + i);
      const Pack<T, N> g = load_pack<T, N>(grad_y + i);
      const Pack<W, N> w = load_pack<W, N>(weight + i);
      Pack<T, N> more;
      if (grad_sum) more = load_pack<T, N>(grad_sum + i);
#pragma unroll
      for (int n = 0; n < N; ++n) {
        const float normed = to_float(a.values[n]) * scale;
        float grad = scale * (to_float(g.values[n]) * to_float(w.values[n]) - normed * mean);
        if (grad_sum) grad += to_float(more.values[n]);
        assign(a.values[n], grad);
      }
      store_pack<T, N>(grad_x + i, a);
    }
  }
  if (!p.partial) return;
  float* const to = p.partial + (static_cast<int64_t>(blockIdx.x) * kRowsOfBlock + place) * p.width;
  for (int64_t i = first; i < p.width; i += kThreadsOfRow * N)
#pragma unroll
    for (int n = 0; n < N; ++n) to[i + n] = my_sums[i + n];
}

bool takes_a_warp(int64_t width) {
  return width <= 1024;
}

int64_t backward_blocks(int64_t rows, int64_t width) {
  const int64_t rows_of_block = takes_a_warp(width) ? kThreads / kWarp : 1;
  return std::min<int64_t>((rows + rows_of_block - 1) / rows_of_block,
                           528);  // four for each of 132 multiprocessors
}

// call(T(), W()) for the types of x and the weight.
template <typename Call>
cudaError_t with_types(FloatType type, FloatType weight_type, Call call) {
  return with_type(type, [&](auto t) {
    using T = decltype(t);
    if (weight_type == FloatType::Float32) return call(T(), float());
    return call(T(), T());
  });
}

template <typename T, int N>
__global__ void rotary_kernel(Rotary p) {
  const int64_t row = blockIdx.x;
  const int turned = static_cast<int>(p.half) / N, copied = static_cast<int>(p.channels - 2 * p.half) / N;
  const int units = turned + copied;
  const float *cos = p.cos + row * p.half, *sin = p.sin + row * p.half;
  for (int i = threadIdx.x; i < units * static_cast<int>(p.heads); i += blockDim.x) {
    const int head = i / units, unit = i % units;
    const T* const x = static_cast<const T*>(p.x) + row * p.row_stride + head * p.head_stride;
    T* const y = static_cast<T*>(p.y) + (row * p.heads + head) * p.channels;
    if (unit >= turned) {
      const int64_t c = 2 * p.half + static_cast<int64_t>(unit - turned) * N;
      store_pack<T, N>(y + c, load_pack<T, N>(x + c));
      continue;
    }
    const int64_t c = static_cast<int64_t>(unit) * N;
    Pack<T, N> a = load_pack<T, N>(x + c), b = load_pack<T, N>(x + c + p.half);
#pragma unroll
    for (int n = 0; n < N; ++n) {
      const float u = to_float(a.values[n]), v = to_float(b.values[n]);
      const float co = cos[c + n], si = p.direction * sin[c + n];
      assign(a.values[n], u * co - v * si);
      assign(b.values[n], v * co + u * si);
    }
    store_pack<T, N>(y + c, a);
    store_pack<T, N>(y + c + p.half, b);
  }
}

// The pack of a thread: its gate, what that gates, and where in [rows, width].
template <typename T, int N>
struct SwigluPack {
  Pack<T, N> gate, up;
  int64_t row, column;
};

// False: there is none for this thread.
template <typename T, int N>
__device__ bool load_inputs(const SwigluInputs& in, SwigluPack<T, N>& pack) {
  const int64_t packs = in.width / N, i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= in.rows * packs) return false;
  pack.row = i / packs;
  pack.column = i % packs * N;
  pack.gate = load_pack<T, N>(static_cast<const T*>(in.gate) + pack.row * in.gate_stride + pack.column);
  pack.up = load_pack<T, N>(static_cast<const T*>(in.up) + pack.row * in.up_stride + pack.column);
  return true;
}

template <typename T, int N>
__global__ void swiglu_kernel(Swiglu p) {
  SwigluPack<T, N> x;
  if (!load_inputs(p.inputs, x)) return;
#pragma unroll
  for (int n = 0; n < N; ++n) {
    const float g = to_float(x.gate.values[n]);
    assign(x.gate.values[n], g / (1 + __expf(-g)) * to_float(x.up.values[n]));
  }
  store_pack<T, N>(static_cast<T*>(p.y) + x.row * p.inputs.width + x.column, x.gate);
}

template <typename T, int N>
__global__ void swiglu_backward_kernel(SwigluBackward p) {
  SwigluPack<T, N> x;
  if (!load_inputs(p.inputs, x)) return;
  const Pack<T, N> grad_y =
      load_pack<T, N>(static_cast<const T*>(p.grad_y) + x.row * p.inputs.width + x.column);
#pragma unroll
  for (int n = 0; n < N; ++n) {
    const float g = to_float(x.gate.values[n]), u = to_float(x.up.values[n]),
                grad = to_float(grad_y.values[n]);
    const float sigmoid = 1 / (1 + __expf(-g)), silu = g * sigmoid;
    assign(x.gate.values[n], grad * u * (sigmoid + silu * (1 - sigmoid)));
    assign(x.up.values[n], grad * silu);
  }
  store_pack<T, N>(static_cast<T*>(p.grad_gate) + x.row * p.grad_stride + x.column, x.gate);
  store_pack<T, N>(static_cast<T*>(p.grad_up) + x.row * p.grad_stride + x.column, x.up);
}

}  // namespace

cudaError_t rms_norm_forward(const RmsNormForward& p, cudaStream_t stream) {
  if (p.rows == 0) return cudaSuccess;
  return with_types(p.type, p.weight_type, [&](auto t, auto w) {
    using T = decltype(t);
    using W = decltype(w);
    constexpr int N = kPackSize<T>;
    const bool packs =
        fit_packs<W, N>(p.width, {{p.weight, 0}}) &&
        fit_packs<T, N>(p.width, {{p.x, p.x_stride}, {p.delta, p.delta_stride}, {p.sum, 0}, {p.y, 0}});
    const bool warp = takes_a_warp(p.width);
    const unsigned grid = num_blocks(p.rows, warp ? kThreads / kWarp : 1);
    const auto kernel = packs ? (warp ? rms_norm_kernel<T, W, N, kWarp> : rms_norm_kernel<T, W, N, kThreads>)
                              : (warp ? rms_norm_kernel<T, W, 1, kWarp> : rms_norm_kernel<T, W, 1, kThreads>);
    kernel<<<grid, kThreads, 0, stream>>>(p);
    return cudaGetLastError();
  });
}

int64_t rms_norm_partial_rows(int64_t rows, int64_t width) {
  return backward_blocks(rows, width) * (takes_a_warp(width) ? kThreads / kWarp : 1);
}

cudaError_t rms_norm_backward(const RmsNormBackward& p, cudaStream_t stream) {
  if (p.rows == 0) return cudaSuccess;
  return with_types(p.type, p.weight_type, [&](auto t, auto w) {
    using T = decltype(t);
    using W = decltype(w);
    constexpr int N = kPackSize<T>;
    const bool packs =
        fit_packs<W, N>(p.width, {{p.weight, 0}}) &&
        fit_packs<T, N>(p.width, {{p.sum, p.sum_stride}, {p.grad_y, 0}, {p.grad_sum, 0}, {p.grad_x, 0}});
    const bool warp = takes_a_warp(p.width);
    const auto kernel =
        packs
            ? (warp ? rms_norm_backward_kernel<T, W, N, kWarp> : rms_norm_backward_kernel<T, W, N, kThreads>)
            : (warp ? rms_norm_backward_kernel<T, W, 1, kWarp> : rms_norm_backward_kernel<T, W, 1, kThreads>);
    const size_t shared = p.partial ? (warp ? kThreads / kWarp : 1) * p.width * sizeof(float) : 0;
    if (shared > (48 << 10)) {
      const cudaError_t status =
          cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared));
      if (status != cudaSuccess) return status;
    }
    kernel<<<static_cast<unsigned>(backward_blocks(p.rows, p.width)), kThreads, shared, stream>>>(p);
    return cudaGetLastError();
  });
}

cudaError_t rotary(const Rotary& p, cudaStream_t stream) {
  if (p.rows == 0 || p.heads == 0) return cudaSuccess;
  const int64_t width = std::gcd(p.half, p.channels);
  return with_packs(
      p.type, width, {{p.x, p.row_stride}, {p.x, p.head_stride}, {p.y, 0}}, [&](auto t, auto n) {
        const int64_t units = p.heads * (p.channels - p.half) / n;
        const auto threads = static_cast<unsigned>(std::clamp<int64_t>((units + 31) / 32 * 32, 32, kThreads));
        rotary_kernel<decltype(t), n><<<static_cast<unsigned>(p.rows), threads, 0, stream>>>(p);
        return cudaGetLastError();
      });
}

cudaError_t swiglu_forward(const Swiglu& p, cudaStream_t stream) {
  const SwigluInputs& in = p.inputs;
  if (in.rows * in.width == 0) return cudaSuccess;
  return with_packs(in.type, in.width, {{in.gate, in.gate_stride}, {in.up, in.up_stride}, {p.y, 0}},
                    [&](auto t, auto n) {
                      const unsigned grid = num_blocks(in.rows * in.width / n, kThreads);
                      swiglu_kernel<decltype(t), n><<<grid, kThreads, 0, stream>>>(p);
                      return cudaGetLastError();
                    });
}

cudaError_t swiglu_backward(const SwigluBackward& p, cudaStream_t stream) {
  const SwigluInputs& in = p.inputs;
  if (in.rows * in.width == 0) return cudaSuccess;
  return with_packs(in.type, in.width,
                    {{in.gate, in.gate_stride},
                     {in.up, in.up_stride},
                     {p.grad_y, 0},
                     {p.grad_gate, p.grad_stride},
                     {p.grad_up, p.grad_stride}},
                    [&](auto t, auto n) {
                      const unsigned grid = num_blocks(in.rows * in.width / n, kThreads);
                      swiglu_backward_kernel<decltype(t), n><<<grid, kThreads, 0, stream>>>(p);
                      return cudaGetLastError();
                    });
}

}  // namespace dmoerm::ops
