// Hidden states, logits and scores of the checkpoints against transformers and PEFT.
#include "tests/models/model_fixtures.h"

namespace dmoerm::models {
namespace {

constexpr double kTolerance = 1e-4;  // of the largest value

class Fixture : public testing::TestWithParam<const char*> {};

Tensor logits_of(const Checkpoint& model, const Tensor& hidden_last3) {
  if (model.head == HeadKind::Score) return torch::mv(model.score_weight, hidden_last3[-1]);
  return torch::mm(hidden_last3, model.lm_weight.t());
}

TEST_P(Fixture, HiddenStatesAndLogits) {
  torch::NoGradGuard no_grad;
  const Checkpoint model = load_checkpoint(fixture(GetParam()));
  EXPECT_EQ(model.head, std::string(GetParam()).ends_with("-lm") ? HeadKind::LanguageModel : HeadKind::Score);
  EXPECT_EQ(model.pad_token_id, 0);
  EXPECT_EQ(model.eos_token_id, 2);
  const NamedTensors expected = load_safetensors(fixture(GetParam()) / "expected.safetensors");
  std::vector<std::vector<int32_t>> sequences;
  for (int i = 0; expected.count(fmt::format("ids.{}", i)) > 0; ++i)
    sequences.push_back(ids_of(expected.at(fmt::format("ids.{}", i))));
  ASSERT_GE(sequences.size(), 4u);

  const nn::Batch together = packed(sequences);
  const Tensor all = model.decoder->hidden(together), last = model.decoder->last_hidden(together);
  for (size_t i = 0; i < sequences.size(); ++i) {
    const std::string what = fmt::format("{} sequence {}", GetParam(), i);
    const Tensor& hidden = expected.at(fmt::format("hidden_last3.{}", i));
    const Tensor& logits = expected.at(fmt::format("logits.{}", i));
    const Tensor in_batch = all.narrow(0, together.last_token[i] - 2, 3);
    expect_close(in_batch, hidden, kTolerance, what + " together");
    expect_close(logits_of(model, in_batch), logits, kTolerance, what + " together, logits");
    expect_close(last[i], hidden[-1], kTolerance, what + " together, last token");
    const nn::Batch alone = packed({sequences[i]});
    const Tensor alone_last3 = model.decoder->hidden(alone).narrow(0, alone.last_token[0] - 2, 3);
    expect_close(alone_last3, hidden, kTolerance, what + " alone");
    expect_close(logits_of(model, alone_last3), logits, kTolerance, what + " alone, logits");
  }
}

// Every sequence beside two relatives that share a part of it, in a group.
TEST_P(Fixture, SharedPrefixesChangeNothing) {
  torch::NoGradGuard no_grad;
  const Checkpoint model = load_checkpoint(fixture(GetParam()));
  const NamedTensors expected = load_safetensors(fixture(GetParam()) / "expected.safetensors");
  for (int i = 0; expected.count(fmt::format("ids.{}", i)) > 0; ++i) {
    const std::vector<int32_t> ids = ids_of(expected.at(fmt::format("ids.{}", i)));
    std::vector<int32_t> longer = ids, other(ids.begin(), ids.end() - 2);
    longer.insert(longer.end(), {3, 4});
    other.push_back(9);
    const std::vector<data::PackItem> items = {{longer, 0}, {ids, 0}, {other, 0}};
    const data::PackedBatch batch = data::pack(items);
    EXPECT_LT(batch.num_tokens(), batch.num_unshared_tokens);
    const Tensor last = model.decoder->last_hidden(nn::to_device(batch, torch::kCPU));
    expect_close(last[1], expected.at(fmt::format("hidden_last3.{}", i))[-1], kTolerance,
                 fmt::format("{} sequence {} shared", GetParam(), i));
  }
}

INSTANTIATE_TEST_SUITE_P(Transformers, Fixture, testing::ValuesIn(kFixtures));

class ExpertFixture : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const Json json = load_json(fixture(GetParam()) / "experts.json");
    base_ = load_checkpoint(fixture(json["base"].get<std::string>()));
    num_experts_ = json["experts"].get<int>();
    for (int k = 0; k < num_experts_; ++k) {
      adapters_.push_back(load_adapter(fixture(GetParam()) / fmt::format("expert{}", k), *base_.decoder));
      set_.experts.push_back(adapters_.back().lora);
    }
    expected_ = load_safetensors(fixture(GetParam()) / "expected.safetensors");
  }
  std::vector<int32_t> sequence(int q, int r) const {
    std::vector<int32_t> tokens = ids_of(expected_.at(fmt::format("prompt.{}", q)));
    const std::vector<int32_t> answer = ids_of(expected_.at(fmt::format("answer.{}.{}", q, r)));
    tokens.insert(tokens.end(), answer.begin(), answer.end());
    return tokens;
  }

  Checkpoint base_;
  int num_experts_ = 0;
  std::vector<Adapter> adapters_;
  nn::ExpertSet set_;
  NamedTensors expected_;
};

TEST_P(ExpertFixture, StatesAndScoresOfAllExpertsInOneBatch) {
  torch::NoGradGuard no_grad;
  for (int q = 0; q < 3; ++q) {
    std::vector<std::vector<int32_t>> sequences;
    for (int r = 0; r < 3; ++r) sequences.push_back(sequence(q, r));
    std::vector<data::PackItem> items;
    for (int r = 0; r < 3; ++r)
      for (int k = 0; k < num_experts_; ++k) items.push_back({sequences[r], q, k});
    const data::PackedBatch batch = data::pack(items, num_experts_);
    EXPECT_LT(batch.num_tokens(), batch.num_unshared_tokens);
    const Tensor z =
        base_.decoder->last_hidden(nn::to_device(batch, torch::kCPU), &set_).view({3, num_experts_, -1});
    for (int r = 0; r < 3; ++r) {
      const std::string what = fmt::format("{} prompt {} answer {}", GetParam(), q, r);
      expect_close(z[r], expected_.at(fmt::format("z.{}.{}", q, r)), kTolerance, what);
      for (int k = 0; k < num_experts_; ++k) {
        const Tensor score = torch::mv(adapters_[k].score_weight, z[r][k]);
        expect_close(score, expected_.at(fmt::format("expert_score.{}.{}.{}", q, r, k)), kTolerance, what);
        nn::ExpertSet alone;
        alone.experts = {set_.experts[k]};
        const std::vector<data::PackItem> item = {{sequences[r], 0, 0}};
        const Tensor z_alone =
            base_.decoder->last_hidden(nn::to_device(data::pack(item, 1), torch::kCPU), &alone);
        expect_close(z[r][k], z_alone[0], 1e-5, what + " alone");
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Peft, ExpertFixture,
                         testing::Values("llama-experts", "llama-experts-mixed", "qwen2-experts"));

TEST(Fixtures, BFloat16IsNearFloat32) {
  torch::NoGradGuard no_grad;
  const Checkpoint exact = load_checkpoint(fixture("llama_tied_bias_sharded-seq"));
  const Checkpoint half =
      load_checkpoint(fixture("llama_tied_bias_sharded-seq"), {torch::kCPU, torch::kBFloat16});
  const nn::Batch batch = packed({{5, 9, 2, 77, 140, 3, 3, 8}, {1}, {60, 61, 62}});
  const Tensor state = half.decoder->last_hidden(batch);
  EXPECT_EQ(state.scalar_type(), torch::kBFloat16);
  expect_close(state, exact.decoder->last_hidden(batch), 3e-2, "bfloat16");
}

TEST(Fixtures, LabelsAndSettings) {
  const Checkpoint model = load_checkpoint(fixture("qwen2_labels3-seq"));
  EXPECT_EQ(model.labels, (std::vector<std::string>{"LABEL_0", "LABEL_1", "LABEL_2"}));
  EXPECT_EQ(model.family, "qwen2");
  EXPECT_TRUE(model.decoder->config().qkv_bias);
  const Checkpoint tied = load_checkpoint(fixture("llama_tied_bias_sharded-lm"));
  EXPECT_TRUE(tied.lm_weight.is_same(tied.decoder->weights().at("embed_tokens.weight")));
  const Checkpoint half = load_checkpoint(fixture("qwen2-seq"), {torch::kCPU, torch::kBFloat16});
  EXPECT_EQ(half.decoder->weights().at("norm.weight").scalar_type(), torch::kBFloat16);
  EXPECT_EQ(half.score_weight.scalar_type(), torch::kFloat32);
}

}  // namespace
}  // namespace dmoerm::models
