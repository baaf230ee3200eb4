// The usual way, to compare with: sequences padded on the right to one length, [B, S], every prompt computed
// again for each answer, each step an operation of LibTorch. B sequences, S positions, D width, H heads, C
// head size.
#pragma once

#include <span>

#include "bench/end_to_end/workload.h"
#include "dmoerm/nn/decoder.h"

namespace dmoerm::bench {

inline constexpr int64_t kPaddedBatch = 16;

// Shares the decoder's weights. Decoders with plain rotary positions, silu, no biases and no window.
class PaddedEager {
 public:
  explicit PaddedEager(const nn::Decoder& decoder);

  // States of the last tokens, [B, D], under the base or one expert. Differentiable.
  Tensor last_hidden(std::span<const Sequence> sequences, const nn::LoraExpert* expert = nullptr) const;

  // The same for any number of sequences, without gradients: batches of kPaddedBatch, in the order given or
  // the sequences sorted by length.
  Tensor states(const std::vector<Sequence>& sequences, bool sorted,
                const nn::LoraExpert* expert = nullptr) const;

  // Multiply-adds, twice, of states(): padding computed like anything else.
  double flops(const std::vector<Sequence>& sequences, bool sorted) const;

 private:
  struct Positions;
  Tensor linear(const std::string& name, const Tensor& x_BSI, const nn::LoraExpert* expert) const;
  Tensor norm(const std::string& name, const Tensor& x_BSD) const;
  Tensor attention(int64_t layer, const Tensor& x_BSD, const Positions& positions,
                   const nn::LoraExpert* expert) const;
  Tensor feed_forward(int64_t layer, const Tensor& x_BSD, const nn::LoraExpert* expert) const;

  const nn::Decoder& decoder_;
  Tensor frequencies_;
};

}  // namespace dmoerm::bench
