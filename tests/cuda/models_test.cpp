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

// 2e-2 of the size of a state. In one sequence of OLMoE the router's third and fourth logits lie 0.002 apart,
// less than bfloat16 moves them: they change places here and in transformers alike, whose states then differ
// by 3.9e-2.
TEST_P(CudaFixture, BFloat16IsNearFloat32) {
  torch::NoGradGuard no_grad;
  const Checkpoint exact = load_checkpoint(fixture(GetParam()), {torch::kCUDA, torch::kFloat32});
  const Checkpoint half = load_checkpoint(fixture(GetParam()), {torch::kCUDA, torch::kBFloat16});
  const NamedTensors expected = load_safetensors(fixture(GetParam()) / "expected.safetensors");
  std::vector<data::PackItem> items;
  const auto sequences = with_relatives(expected, items);
  const nn::Batch batch = nn::to_device(data::pack(items), torch::kCUDA);
  const Tensor a = half.decoder->last_hidden(batch).to(torch::kFloat32),
               b = exact.decoder->last_hidden(batch);
  const double error = ((a - b).norm() / b.norm()).item<double>();
  std::printf("%s: bfloat16 differs by %.4f of the norm\n", GetParam(), error);
  EXPECT_LT(error, std::string(GetParam()) == "olmoe-lm" ? 5e-2 : 2e-2) << GetParam();
}

// Of every row, layer by layer.
std::vector<Tensor> chosen_experts(const nn::RoutingTrace& trace) {
  std::vector<Tensor> chosen;
  for (const nn::LayerRouting& layer : trace.layers)
    chosen.push_back(std::get<0>(layer.routing.expert_Tk.sort(-1)));
  return chosen;
}

// Each sequence alone: those whose rows go to the same experts stay within 2e-2 with a router too.
TEST_P(CudaFixture, BFloat16IsNearFloat32WhereRoutedAlike) {
  torch::NoGradGuard no_grad;
  const Checkpoint exact = load_checkpoint(fixture(GetParam()), {torch::kCUDA, torch::kFloat32});
  const Checkpoint half = load_checkpoint(fixture(GetParam()), {torch::kCUDA, torch::kBFloat16});
  const NamedTensors expected = load_safetensors(fixture(GetParam()) / "expected.safetensors");
  std::vector<data::PackItem> items;
  const auto sequences = with_relatives(expected, items);
  std::vector<Tensor> states, exact_states;
  for (const data::PackItem& item : items) {
    const nn::Batch batch = nn::to_device(data::pack({&item, 1}), torch::kCUDA);
    nn::RoutingTrace trace, exact_trace;
    const Tensor z_1D = half.decoder->last_hidden(batch, nullptr, {.trace = &trace});
    const Tensor exact_1D = exact.decoder->last_hidden(batch, nullptr, {.trace = &exact_trace});
    if (!std::ranges::equal(chosen_experts(trace), chosen_experts(exact_trace), torch::equal)) continue;
    states.push_back(z_1D.to(torch::kFloat32));
    exact_states.push_back(exact_1D);
  }
  ASSERT_GE(3 * states.size(), items.size()) << GetParam();
  const Tensor exact_RD = torch::cat(exact_states);
  const double error = ((torch::cat(states) - exact_RD).norm() / exact_RD.norm()).item<double>();
  EXPECT_LT(error, 2e-2) << GetParam() << ", " << states.size() << " sequences";
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
