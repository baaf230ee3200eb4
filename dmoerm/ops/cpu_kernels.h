// The inner loops of the CPU ops, in float32; some read and write bfloat16. One source (*.inc) is compiled
// for several instruction sets, and the best that the processor has is chosen when the program runs.
// Everything here is single-threaded and works on raw rows.
#pragma once

#include <cstdint>

namespace dmoerm::ops {

inline constexpr int64_t kKeyBlock = 64;        // most keys that attention handles at once
inline constexpr int64_t kQueryBlockRows = 48;  // aim for (query, head) rows in one attention task

// The bits of one, the upper half of a float32. Read exactly, written rounded to nearest, ties to even.
struct Bfloat16 {
  uint16_t bits;
};

// Consecutive keys of one segment. Its transposed panel is [channels, padded], where padded is `count`
// rounded up to the vector width.
struct KeyBlock {
  int64_t row, count;  // rows of the batch
  int64_t position;    // of the first key in its sequence
  int64_t column;      // sum of `padded` over the blocks before
  int64_t padded;
};

// Queries of one segment for one key/value head: [first, first + count) of the query rows.
struct QueryTask {
  int64_t segment, group, first, count;
};

// One call of group attention. T rows, Q queries, H query heads, G key/value heads, C and V channels of keys
// and values; ~C and ~V: rounded up to the vector width. A null pointer: not needed.
struct AttentionProblem {
  int64_t rows, heads, groups, channels, value_channels, padded_channels, padded_value_channels, columns;
  float scale;
  int64_t window;
  const int64_t* positions;  // [Q] of each query in its sequence
  const KeyBlock* blocks;
  const int64_t* block_offsets;  // [segments + 1] into blocks
  const int32_t* parents;        // [segments] or -1
  const float* q;                // [Q, H, C]
  const float* keys_rows;        // [G, T, ~C]
  const float* keys_columns;     // [G, columns * C], a panel after another
  const float* values_rows;      // [G, T, ~V]
  const float* values_columns;   // [G, columns * V]
  float* out;                    // [Q, H, V]
  float* lse;                    // [Q, H] log of the sum of exponentials of the scores
  const float* grad_out;         // [Q, H, V]
  float* grad_q;                 // [Q, H, C]
  float* grad_keys_rows;         // [G, T, ~C]
  float* grad_values_rows;       // [G, T, ~V]

  int64_t heads_per_group() const { return heads / groups; }
};

struct AdamWConstants {
  float decay, beta1, one_minus_beta1, beta2, one_minus_beta2, step_size, inverse_sqrt_bias2, eps, grad_scale;
};

struct CpuKernels {
  const char* name;
  int64_t width;  // floats in a vector

  // src rows [count, channels] at `stride` -> [count, padded] with zeros behind.
  void (*pack_rows)(const float* src, int64_t stride, int64_t count, int64_t channels, int64_t padded,
                    float* dst);
  // The same rows -> their transpose [channels, padded_count] with zeros behind.
  void (*pack_columns)(const float* src, int64_t stride, int64_t count, int64_t channels,
                       int64_t padded_count, float* dst);
  // Of one task; scratch holds attention_scratch() floats.
  void (*attention_forward)(const AttentionProblem&, const QueryTask&, float* scratch);
  void (*attention_backward)(const AttentionProblem&, const QueryTask&, float* scratch);

  void (*rms_norm_forward)(const float* x, const float* weight, float* y, float* inverse_rms, int64_t rows,
                           int64_t width, float eps);
  // grad_weight is added to, and may be null.
  void (*rms_norm_backward)(const float* x, const float* weight, const float* inverse_rms,
                            const float* grad_y, float* grad_x, float* grad_weight, int64_t rows,
                            int64_t width);
  // direction 1: rotate; -1: back.
  void (*rotary)(const float* x, const float* cos, const float* sin, float* y, int64_t rows, int64_t heads,
                 int64_t channels, int64_t half, float direction);
  void (*swiglu_forward)(const float* gate, const float* up, float* y, int64_t count);
  void (*swiglu_backward)(const float* gate, const float* up, const float* grad_y, float* grad_gate,
                          float* grad_up, int64_t count);
  void (*swiglu_forward_bfloat16)(const Bfloat16* gate, const Bfloat16* up, Bfloat16* y, int64_t count);
  void (*swiglu_backward_bfloat16)(const Bfloat16* gate, const Bfloat16* up, const Bfloat16* grad_y,
                                   Bfloat16* grad_gate, Bfloat16* grad_up, int64_t count);
  void (*adamw)(float* parameter, const float* gradient, float* first, float* second, int64_t count,
                const AdamWConstants&);
  double (*sum_of_squares)(const float* x, int64_t count);
  // y = mask * x / (1 - p), or y += that. keys: hash of (seed, row key) of each row; threshold: p * (2^32 -
  // 1).
  void (*row_dropout)(const float* x, float* y, const uint64_t* keys, int64_t rows, int64_t width,
                      uint32_t threshold, float scale, bool add);
  // y[t] = sum over j of weights[t, j] * x[slots[t, j]]; a slot below 0 adds nothing. weights, slots: [rows,
  // k]
  void (*weighted_rows)(const float* x, const int64_t* slots, const float* weights, float* y, int64_t rows,
                        int64_t k, int64_t width);
  void (*weighted_rows_bfloat16)(const Bfloat16* x, const int64_t* slots, const float* weights, Bfloat16* y,
                                 int64_t rows, int64_t k, int64_t width);
  void (*exp)(const float* x, float* y, int64_t count);  // error at most 2 units in the last place
};

// Scratch floats of an attention task with `rows` (query, head) rows.
inline int64_t attention_scratch(const AttentionProblem& p, int64_t rows) {
  return rows * (2 * p.padded_channels + 2 * p.padded_value_channels + 2 * kKeyBlock + 2);
}

// The best set of kernels for this processor.
const CpuKernels& cpu_kernels();

// All that this processor can run, the plainest first (for tests).
struct CpuKernelList {
  const CpuKernels* kernels[3];
  int count;
};
CpuKernelList usable_cpu_kernels();

namespace detail {
extern const CpuKernels kGenericKernels;
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define DMOERM_X86_KERNELS 1
extern const CpuKernels kAvx2Kernels, kAvx512Kernels;
#endif
}  // namespace detail

}  // namespace dmoerm::ops
