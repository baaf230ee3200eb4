// Inner models against transformers and PEFT: states, expert scores, aggregated reward; how parts must fit.
#include "tests/reward/reward_fixtures.h"

namespace dmoerm::reward {
namespace {

struct Reference {
  std::vector<std::vector<std::vector<int32_t>>> sequences;  // [prompt][answer]
  Tensor z_RKD, scores_RK, reward_R;
};

Reference read_reference(const std::string& name, int64_t K) {
  const SafeTensors expected(fixture(name) / "expected.safetensors");
  Reference reference;
  std::vector<Tensor> z, scores, rewards;
  for (int q = 0; q < 3; ++q) {
    const auto prompt = models::ids_of(expected.tensor(fmt::format("prompt.{}", q)));
    reference.sequences.emplace_back();
    for (int r = 0; r < 3; ++r) {
      auto sequence = prompt;
      const auto answer = models::ids_of(expected.tensor(fmt::format("answer.{}.{}", q, r)));
      sequence.insert(sequence.end(), answer.begin(), answer.end());
      reference.sequences.back().push_back(sequence);
      z.push_back(expected.tensor(fmt::format("z.{}.{}", q, r)).view({K, -1}));
      for (int64_t k = 0; k < K; ++k)
        scores.push_back(expected.tensor(fmt::format("expert_score.{}.{}.{}", q, r, k)));
      rewards.push_back(expected.tensor(fmt::format("reward.{}.{}", q, r)));
    }
  }
  reference.z_RKD = torch::stack(z);
  reference.scores_RK = torch::cat(scores).view({-1, K});
  reference.reward_R = torch::cat(rewards);
  return reference;
}

std::vector<PromptSequences> prompts_of(const Reference& reference) {
  std::vector<PromptSequences> prompts;
  for (const auto& sequences : reference.sequences) prompts.emplace_back(sequences.begin(), sequences.end());
  return prompts;
}

class ExpertFixtures : public testing::TestWithParam<const char*> {};

TEST_P(ExpertFixtures, StatesScoresAndRewardsEqualTheReference) {
  const auto inner = fixture_inner_model(GetParam(), "task");
  inner.check();
  const auto reference = read_reference(GetParam(), inner.num_states());
  const auto experts = inner.expert_set();
  const Tensor z_RKD = packed_states(inner.decoder(), &experts, prompts_of(reference));
  expect_close(z_RKD, reference.z_RKD, 1e-4, "z");
  expect_close(inner.expert_scores(z_RKD), reference.scores_RK, 1e-4, "expert scores");
  expect_close(inner.raw_rewards(z_RKD), reference.reward_R, 1e-4, "rewards");
}

INSTANTIATE_TEST_SUITE_P(All, ExpertFixtures,
                         testing::Values("llama-experts", "qwen2-experts", "llama-experts-mixed"));

TEST(PackedStates, DoNotDependOnBudgetOrSharing) {
  const auto inner = fixture_inner_model("llama-experts", "task");
  const auto reference = read_reference("llama-experts", 3);
  const auto prompts = prompts_of(reference);
  const auto experts = inner.expert_set();
  const Tensor expected = packed_states(inner.decoder(), &experts, prompts);
  // Budgets below one prompt's rows cut it into chunks, down to one sequence each.
  for (const int64_t budget : {1, 60, 150, 400}) {
    const Tensor cut = packed_states(inner.decoder(), &experts, prompts, {budget});
    EXPECT_TRUE(torch::allclose(cut, expected, 1e-5, 1e-5)) << budget;
  }
  const Tensor unshared = packed_states(inner.decoder(), &experts, prompts, {8192, false});
  EXPECT_TRUE(torch::allclose(unshared, expected, 1e-5, 1e-5));
  EXPECT_EQ(packed_states(inner.decoder(), &experts, {}).sizes(), torch::IntArrayRef({0, 3, 64}));
}

TEST(InnerModel, WithoutExpertsTheBasesHeadScores) {
  const SafeTensors expected(fixture("qwen2_labels3-seq") / "expected.safetensors");
  InnerModel inner;
  inner.base =
      std::make_shared<BaseModel>(BaseModel{".", models::load_checkpoint(fixture("qwen2_labels3-seq"))});
  for (inner.label = 0; inner.label < 3; ++inner.label) {
    inner.check();
    for (int i = 0; i < 4; ++i) {
      const auto ids = models::ids_of(expected.tensor(fmt::format("ids.{}", i)));
      const std::vector<PromptSequences> prompts = {{ids}};
      const Tensor logits = expected.tensor(fmt::format("logits.{}", i));
      const double reward =
          inner.raw_rewards(packed_states(inner.decoder(), nullptr, prompts)).item<double>();
      EXPECT_NEAR(reward, logits[inner.label].item<double>(), 1e-4 * logits.abs().max().item<double>());
    }
  }
  EXPECT_THAT(error_of([&] { inner.check(); }), HasSubstr("label 3"));
}

TEST(InnerModel, SumAndSingleExpert) {
  auto inner = fixture_inner_model("llama-experts", "task");
  const Tensor z_RKD = torch::randn({4, 3, 64});
  const Tensor scores_RK = inner.expert_scores(z_RKD);
  inner.aggregator.reset();
  EXPECT_THAT(error_of([&] { inner.check(); }), HasSubstr("3 experts and no aggregator"));
  inner.sum_weights = {1, -2, 0.5};
  inner.check();
  expect_close(inner.raw_rewards(z_RKD),
               scores_RK.select(1, 0) - 2 * scores_RK.select(1, 1) + 0.5 * scores_RK.select(1, 2), 1e-5,
               "sum");
  inner.sum_weights = {1};
  EXPECT_THAT(error_of([&] { inner.check(); }), HasSubstr("\"sum\" has 1 weights"));
  inner.sum_weights.clear();
  inner.experts.resize(1);
  inner.check();
  expect_close(inner.raw_rewards(z_RKD.narrow(1, 0, 1)), scores_RK.select(1, 0), 1e-5, "single expert");
}

TEST(InnerModel, PartsThatDoNotFitAreNamed) {
  auto inner = fixture_inner_model("llama-experts", "chat");
  const auto broken = [&](auto change) {
    InnerModel copy = inner;
    change(copy);
    return error_of([&] { copy.check(); });
  };
  EXPECT_THAT(broken([](InnerModel& m) { m.experts.pop_back(); }),
              HasSubstr("[task \"chat\"] the aggregator is for 3"));
  EXPECT_THAT(broken([](InnerModel& m) { m.experts[1].adapter.score_weight = Tensor(); }),
              HasSubstr("\"point 1\""));
  EXPECT_THAT(broken([](InnerModel& m) { m.reward_std = 0; }), HasSubstr("reward_std 0"));
  EXPECT_THAT(broken([](InnerModel& m) { m.reward_mean = NAN; }), HasSubstr("reward_mean is nan"));
}

}  // namespace
}  // namespace dmoerm::reward
