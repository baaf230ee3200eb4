// States of many sequences under several experts, however they are cut into batches.
#include "dmoerm/reward/packed_states.h"

#include <gtest/gtest.h>

#include "dmoerm/core/random.h"
#include "tests/reward/reward_fixtures.h"

namespace dmoerm::reward {
namespace {

class StatesOfExperts : public testing::Test {
 protected:
  // Three prompts of 12 tokens: with one answer, with 9 of 2 to 10 tokens, with none.
  StatesOfExperts() {
    RandomStream random(7, "packed states");
    const auto draw = [&](int64_t count) {
      std::vector<int32_t> tokens;
      for (int64_t i = 0; i < count; ++i) tokens.push_back(3 + static_cast<int32_t>(random.uniform() * 600));
      return tokens;
    };
    for (const int64_t answers : {1, 9}) {
      const std::vector<int32_t> prompt = draw(12);
      for (int64_t i = 0; i < answers; ++i) {
        std::vector<int32_t> tokens = prompt;
        for (const int32_t token : draw(2 + i)) tokens.push_back(token);
        sequences_.push_back(tokens);
      }
    }
    prompts_ = {{sequences_[0]}, {sequences_.begin() + 1, sequences_.end()}, {}};
    for (uint64_t k = 0; k < 3; ++k)
      experts_.experts.push_back(tiny_expert(decoder(), "point", 3 + k).adapter.lora);
  }

  const nn::Decoder& decoder() const { return *checkpoint_.decoder; }

  models::Checkpoint checkpoint_ = tiny_checkpoint(1);
  nn::ExpertSet experts_;
  std::vector<std::vector<int32_t>> sequences_;
  std::vector<PromptSequences> prompts_;
};

TEST_F(StatesOfExperts, DoNotDependOnTheBudget) {
  std::vector<Tensor> alone;  // a sequence and an expert at a time
  for (const auto& sequence : sequences_) {
    std::vector<Tensor> of_experts;
    for (const nn::LoraExpert& expert : experts_.experts) {
      nn::ExpertSet one;
      one.experts = {expert};
      of_experts.push_back(packed_states(decoder(), &one, std::vector<PromptSequences>{{sequence}}));
    }
    alone.push_back(torch::cat(of_experts, 1));
  }
  const Tensor expected = torch::cat(alone);
  // The larger prompt has 66 rows for an expert: cut in sequences; one, two, three experts; all together.
  for (const int64_t budget : {1, 30, 66, 140, 198, 1000}) {
    const Tensor actual = packed_states(decoder(), &experts_, prompts_, {budget});
    ASSERT_EQ(actual.sizes(), torch::IntArrayRef({10, 3, 16}));
    EXPECT_LT((actual - expected).abs().max().item<double>(), 2e-5 * expected.abs().max().item<double>())
        << "budget " << budget;
  }
}

// What the larger prompt's sequences share is computed once for an expert as long as one expert fits.
TEST_F(StatesOfExperts, AreGivenOutWithAllExperts) {
  const std::vector<std::pair<int64_t, size_t>> cases = {{1, 1},   {65, 5},  {66, 9},
                                                         {140, 9}, {198, 9}, {1000, 10}};
  for (const auto& [budget, largest] : cases) {
    std::vector<int64_t> seen;
    size_t most = 0;
    for_each_states(decoder(), &experts_, prompts_, {budget}, [&](const auto& sequences, const Tensor& z) {
      EXPECT_EQ(z.sizes(), torch::IntArrayRef({static_cast<int64_t>(sequences.size()), 3, 16}));
      seen.insert(seen.end(), sequences.begin(), sequences.end());
      most = std::max(most, sequences.size());
    });
    EXPECT_EQ(most, largest) << "budget " << budget;
    std::ranges::sort(seen);
    EXPECT_EQ(seen, (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})) << "budget " << budget;
  }
}

TEST_F(StatesOfExperts, OfTheBaseAlone) {
  const nn::ExpertSet none;
  const Tensor expected = packed_states(decoder(), nullptr, prompts_);
  EXPECT_EQ(expected.sizes(), torch::IntArrayRef({10, 1, 16}));
  EXPECT_TRUE(torch::allclose(packed_states(decoder(), &none, prompts_, {20}), expected, 1e-4, 1e-4));
  EXPECT_EQ(packed_states(decoder(), &experts_, {}).sizes(), torch::IntArrayRef({0, 3, 16}));
}

}  // namespace
}  // namespace dmoerm::reward
