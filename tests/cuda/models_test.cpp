// The checkpoints of transformers and PEFT on a GPU: float32 against their outputs, bfloat16 against float32.
#include <algorithm>

#include "tests/models/model_fixtures.h"

namespace dmoerm::models {
namespace {

class CudaFixture : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!torch::cuda::is_available()) GTEST_SKIP() << "no GPU";
  }
};

// The fixture's sequences, and relatives that share a part of each.
std::vector<std::vector<int32_t>> with_relatives(const NamedTensors& expected,
                                                 std::vector<data::PackItem>& items) {
  std::vector<std::vector<int32_t>> sequences;
  for (int i = 0; expected.count(fmt::format("ids.{}", i)) > 0; ++i) {
    const std::vector<int32_t> ids = ids_of(expected.at(fmt::format("ids.{}", i)));
    sequences.push_back(ids);
    sequences.push_back(ids);
    sequences.back().insert(sequences.back().end(), {3, 4});
    sequences.emplace_back(ids.begin(), ids.end() - 2);
    sequences.back().push_back(9);
  }
  for (size_t i = 0; i < sequences.size(); ++i)
    items.push_back({sequences[i], static_cast<int64_t>(i / 3), -1});
  return sequences;
}

TEST_P(CudaFixture, Float32IsTheReference) {
  torch::NoGradGuard no_grad;
  const Checkpoint model = load_checkpoint(fixture(GetParam()), {torch::kCUDA, torch::kFloat32});
  const NamedTensors expected = load_safetensors(fixture(GetParam()) / "expected.safetensors");
  std::vector<data::PackItem> items;
  const auto sequences = with_relatives(expected, items);
  const data::PackedBatch packed_items = data::pack(items);
  const nn::Batch batch = nn::to_device(packed_items, torch::kCUDA);
  const Tensor all = model.decoder->hidden(batch).cpu(), last = model.decoder->last_hidden(batch).cpu();
  for (size_t i = 0; i < sequences.size(); i += 3) {
    const Tensor& hidden = expected.at(fmt::format("hidden_last3.{}", i / 3));
    expect_close(last[i], hidden[-1], 1e-4, fmt::format("{} sequence {}", GetParam(), i / 3));
    expect_close(all[batch.last_token[i]], hidden[-1], 1e-4,
                 fmt::format("{} sequence {}, all", GetParam(), i / 3));
  }
}

// Of every row, layer by layer.
std::vector<Tensor> chosen_experts(const nn::RoutingTrace& trace) {
  std::vector<Tensor> chosen;
  for (const nn::LayerRouting& layer : trace.layers)
    chosen.push_back(std::get<0>(layer.routing.expert_Tk.sort(-1)));
  return chosen;
}

// 2e-2 of the size of the states. With a router each sequence alone, and but for those of which a row's
// experts differ: a near-tie may fall the other way.
TEST_P(CudaFixture, BFloat16IsNearFloat32) {
  torch::NoGradGuard no_grad;
  const Checkpoint exact = load_checkpoint(fixture(GetParam()), {torch::kCUDA, torch::kFloat32});
  const Checkpoint half = load_checkpoint(fixture(GetParam()), {torch::kCUDA, torch::kBFloat16});
  const NamedTensors expected = load_safetensors(fixture(GetParam()) / "expected.safetensors");
  std::vector<data::PackItem> items;
  const auto sequences = with_relatives(expected, items);
  const size_t at_once = exact.decoder->config().moe ? 1 : items.size();
  std::vector<Tensor> states, exact_states;
  for (size_t begin = 0; begin < items.size(); begin += at_once) {
    const auto packed = data::pack(std::span(items).subspan(begin, at_once));
    const nn::Batch batch = nn::to_device(packed, torch::kCUDA);
    nn::RoutingTrace trace, exact_trace;
    const Tensor z_RD = half.decoder->last_hidden(batch, nullptr, {.trace = &trace});
    const Tensor exact_RD = exact.decoder->last_hidden(batch, nullptr, {.trace = &exact_trace});
    if (!std::ranges::equal(chosen_experts(trace), chosen_experts(exact_trace), torch::equal)) continue;
    states.push_back(z_RD.to(torch::kFloat32));
    exact_states.push_back(exact_RD);
  }
  ASSERT_GE(3 * at_once * states.size(), items.size()) << GetParam();
  const Tensor expected_RD = torch::cat(exact_states);
  const double error = ((torch::cat(states) - expected_RD).norm() / expected_RD.norm()).item<double>();
  std::printf("%s: bfloat16 differs by %.4f of the norm of %d sequences of %zu\n", GetParam(), error,
              static_cast<int>(expected_RD.size(0)), items.size());
  EXPECT_LT(error, 2e-2) << GetParam();
}

INSTANTIATE_TEST_SUITE_P(Transformers, CudaFixture, testing::ValuesIn(kFixtures));

class CudaExperts : public CudaFixture {};

TEST_P(CudaExperts, StatesOfAllExpertsInOneBatch) {
  torch::NoGradGuard no_grad;
  const Json json = load_json(fixture(GetParam()) / "experts.json");
  const NamedTensors expected = load_safetensors(fixture(GetParam()) / "expected.safetensors");
  const int num_experts = json["experts"].get<int>();
  for (const auto type : {torch::kFloat32, torch::kBFloat16}) {
    const Checkpoint base = load_checkpoint(fixture(json["base"].get<std::string>()), {torch::kCUDA, type});
    nn::ExpertSet set;
    for (int k = 0; k < num_experts; ++k)
      set.experts.push_back(
          load_adapter(fixture(GetParam()) / fmt::format("expert{}", k), *base.decoder).lora);
    for (int q = 0; q < 3; ++q) {
      std::vector<std::vector<int32_t>> sequences;
      for (int r = 0; r < 3; ++r) {
        sequences.push_back(ids_of(expected.at(fmt::format("prompt.{}", q))));
        const auto answer = ids_of(expected.at(fmt::format("answer.{}.{}", q, r)));
        sequences.back().insert(sequences.back().end(), answer.begin(), answer.end());
      }
      std::vector<data::PackItem> items;
      for (int r = 0; r < 3; ++r)
        for (int k = 0; k < num_experts; ++k) items.push_back({sequences[r], q, k});
      const nn::Batch batch = nn::to_device(data::pack(items, num_experts), torch::kCUDA);
      const Tensor z = base.decoder->last_hidden(batch, &set).cpu().view({3, num_experts, -1});
      for (int r = 0; r < 3; ++r)
        expect_close(z[r], expected.at(fmt::format("z.{}.{}", q, r)), type == torch::kFloat32 ? 1e-4 : 4e-2,
                     fmt::format("{} prompt {} answer {}", GetParam(), q, r));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Peft, CudaExperts,
                         testing::Values("llama-experts", "llama-experts-mixed", "qwen2-experts"));

}  // namespace
}  // namespace dmoerm::models
