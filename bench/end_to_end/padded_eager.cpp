#include "bench/end_to_end/padded_eager.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "dmoerm/core/error.h"
#include "dmoerm/nn/rotary_frequencies.h"

namespace dmoerm::bench {
namespace {

// Which sequences stand together in a batch.
std::vector<std::vector<int64_t>> batches_of(const std::vector<Sequence>& sequences, bool sorted) {
  std::vector<int64_t> order(sequences.size());
  std::iota(order.begin(), order.end(), 0);
  if (sorted)
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return sequences[a].size() < sequences[b].size(); });
  std::vector<std::vector<int64_t>> batches;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i % kPaddedBatch == 0) batches.emplace_back();
    batches.back().push_back(order[i]);
  }
  return batches;
}

// x_BHSC turned by its positions.
Tensor rotate(const Tensor& x_BHSC, const Tensor& cos_SC, const Tensor& sin_SC) {
  const std::vector<Tensor> halves = x_BHSC.chunk(2, -1);
  return x_BHSC * cos_SC + torch::cat({-halves[1], halves[0]}, -1) * sin_SC;
}

}  // namespace

struct PaddedEager::Positions {
  Tensor cos_SC, sin_SC;
  Tensor mask_SS;  // 0 where a key is seen, -infinity where it is not. Padding stands behind what is read.
};

PaddedEager::PaddedEager(const nn::Decoder& decoder) : decoder_(decoder) {
  const nn::DecoderConfig& config = decoder.config();
  DMOERM_ASSERT(!config.qkv_bias && !config.o_bias && !config.mlp_bias && config.sliding_window == 0);
  DMOERM_ASSERT(config.activation == "silu");
  frequencies_ = nn::rotary_frequencies(config.rotary, config.head_dim).to(decoder.device());
}

Tensor PaddedEager::linear(const std::string& name, const Tensor& x_BSI, const nn::LoraExpert* expert) const {
  const Tensor y_BSO = torch::linear(x_BSI, decoder_.weights().at(name + ".weight"));
  if (expert == nullptr || !expert->pairs.contains(name)) return y_BSO;
  const ops::LoraPair& lora = expert->pairs.at(name);
  const Tensor a_RI = lora.a.to(x_BSI.scalar_type()), b_OR = lora.b.to(x_BSI.scalar_type());
  return y_BSO + torch::linear(torch::linear(x_BSI, a_RI), b_OR) * lora.scale;
}

Tensor PaddedEager::norm(const std::string& name, const Tensor& x_BSD) const {
  const Tensor wide_BSD = x_BSD.to(torch::kFloat32);
  const Tensor inverse_BS1 = torch::rsqrt(wide_BSD.square().mean(-1, true) + decoder_.config().norm_eps);
  return (wide_BSD * inverse_BS1).to(x_BSD.scalar_type()) * decoder_.weights().at(name + ".weight");
}

Tensor PaddedEager::attention(int64_t layer, const Tensor& x_BSD, const Positions& positions,
                              const nn::LoraExpert* expert) const {
  const nn::DecoderConfig& config = decoder_.config();
  const std::string prefix = fmt::format("layers.{}.self_attn.", layer);
  const int64_t B = x_BSD.size(0), S = x_BSD.size(1), C = config.head_dim;
  const auto heads = [&](const char* name, int64_t count) {
    return linear(prefix + name, x_BSD, expert).view({B, S, count, C}).transpose(1, 2);
  };
  const auto for_each_head = [&](const Tensor& x_BGSC) {
    const int64_t repeats = config.num_heads / config.num_kv_heads;
    const Tensor x_BHSC = repeats == 1 ? x_BGSC : x_BGSC.repeat_interleave(repeats, 1);
    return x_BHSC.reshape({B * config.num_heads, S, C});
  };
  const Tensor q =
      for_each_head(rotate(heads("q_proj", config.num_heads), positions.cos_SC, positions.sin_SC));
  const Tensor k =
      for_each_head(rotate(heads("k_proj", config.num_kv_heads), positions.cos_SC, positions.sin_SC));
  const Tensor v = for_each_head(heads("v_proj", config.num_kv_heads));
  const Tensor scores =
      torch::bmm(q, k.transpose(1, 2)) / std::sqrt(static_cast<double>(C)) + positions.mask_SS;
  const Tensor out = torch::bmm(scores.softmax(-1), v).view({B, config.num_heads, S, C});
  return linear(prefix + "o_proj", out.transpose(1, 2).reshape({B, S, config.num_heads * C}), expert);
}

Tensor PaddedEager::feed_forward(int64_t layer, const Tensor& x_BSD, const nn::LoraExpert* expert) const {
  const std::string prefix = fmt::format("layers.{}.mlp.", layer);
  const Tensor gate_BSF = linear(prefix + "gate_proj", x_BSD, expert);
  const Tensor up_BSF = linear(prefix + "up_proj", x_BSD, expert);
  return linear(prefix + "down_proj", torch::silu(gate_BSF) * up_BSF, expert);
}

Tensor PaddedEager::last_hidden(std::span<const Sequence> sequences, const nn::LoraExpert* expert) const {
  const auto B = static_cast<int64_t>(sequences.size());
  std::vector<int64_t> last;
  for (const Sequence& sequence : sequences) last.push_back(static_cast<int64_t>(sequence.size()) - 1);
  const int64_t S = *std::max_element(last.begin(), last.end()) + 1;
  Tensor tokens_BS = torch::zeros({B, S}, torch::kInt64);
  for (int64_t b = 0; b < B; ++b)
    std::copy(sequences[b].begin(), sequences[b].end(), tokens_BS.data_ptr<int64_t>() + b * S);

  const torch::Device device = decoder_.device();
  const Tensor& embedding_VD = decoder_.weights().at("embed_tokens.weight");
  const auto type = embedding_VD.scalar_type();
  const Tensor positions_S1 =
      torch::arange(S, torch::TensorOptions(device).dtype(torch::kFloat32)).unsqueeze(1);
  const Tensor angles_SC = positions_S1 * frequencies_.repeat({2});
  const Tensor unseen_SS =
      torch::full({S, S}, -std::numeric_limits<float>::infinity(), angles_SC.options()).triu(1);
  const Positions positions = {angles_SC.cos().to(type), angles_SC.sin().to(type), unseen_SS.to(type)};
  Tensor x_BSD = torch::embedding(embedding_VD, tokens_BS.to(device));
  for (int64_t layer = 0; layer < decoder_.config().num_layers; ++layer) {
    const std::string prefix = fmt::format("layers.{}.", layer);
    x_BSD = x_BSD + attention(layer, norm(prefix + "input_layernorm", x_BSD), positions, expert);
    x_BSD = x_BSD + feed_forward(layer, norm(prefix + "post_attention_layernorm", x_BSD), expert);
  }
  return norm("norm", x_BSD)
      .index({torch::arange(B, torch::TensorOptions(device).dtype(torch::kInt64)),
              torch::tensor(last).to(device)});
}

Tensor PaddedEager::states(const std::vector<Sequence>& sequences, bool sorted,
                           const nn::LoraExpert* expert) const {
  const torch::NoGradGuard no_grad;
  Tensor z_RD = torch::empty({static_cast<int64_t>(sequences.size()), decoder_.config().hidden_size},
                             torch::TensorOptions(decoder_.device()).dtype(torch::kFloat32));
  for (const auto& batch : batches_of(sequences, sorted)) {
    std::vector<Sequence> chosen;
    for (const int64_t i : batch) chosen.push_back(sequences[i]);
    z_RD.index_copy_(0, torch::tensor(batch).to(z_RD.device()),
                     last_hidden(chosen, expert).to(torch::kFloat32));
  }
  return z_RD;
}

double PaddedEager::flops(const std::vector<Sequence>& sequences, bool sorted) const {
  const nn::DecoderConfig& config = decoder_.config();
  double total = 0;
  for (const auto& batch : batches_of(sequences, sorted)) {
    size_t longest = 0;
    for (const int64_t i : batch) longest = std::max(longest, sequences[i].size());
    const double S = static_cast<double>(longest), rows = S * static_cast<double>(batch.size());
    const double attention =
        4.0 * S * static_cast<double>(config.num_heads * config.head_dim * config.num_layers);
    total += rows * (2.0 * static_cast<double>(config.num_matmul_parameters()) + attention);
  }
  return total;
}

}  // namespace dmoerm::bench
