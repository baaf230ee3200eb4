// Aggregator: the published form against PyTorch's own numbers, the linear start, folding, the file.
#include "tests/reward/reward_fixtures.h"

namespace dmoerm::reward {
namespace {

LinearCombination random_combination(int64_t K, int64_t D) {
  torch::manual_seed(1);
  return {torch::randn({K, D}), torch::randn({K}), torch::randn({K})};
}

TEST(Aggregator, EqualsTheReferenceOnItsStates) {
  for (const auto& [name, K, D] : std::vector<std::tuple<std::string, int64_t, int64_t>>{
           {"llama-experts", 3, 64}, {"qwen2-experts", 3, 64}, {"llama-experts-mixed", 4, 96}}) {
    const SafeTensors expected(fixture(name) / "expected.safetensors");
    const auto aggregator = fixture_aggregator(expected, K, D);
    for (int q = 0; q < 3; ++q)
      for (int r = 0; r < 3; ++r)
        expect_close(aggregator.forward(expected.tensor(fmt::format("z.{}.{}", q, r)).view({1, K, D})),
                     expected.tensor(fmt::format("reward.{}.{}", q, r)), 1e-5, name);
  }
}

TEST(Aggregator, StartsExactlyAsTheLinearCombination) {
  const int64_t R = 50, K = 5, D = 24;
  const auto start = random_combination(K, D);
  const auto aggregator = Aggregator::from_linear(start, 3);
  const Tensor z_RKD = torch::randn({R, K, D});
  const Tensor z = z_RKD.to(torch::kDouble);
  const Tensor scores_RK = (z * start.head_KD.to(torch::kDouble)).sum(-1) + start.offset_K.to(torch::kDouble);
  expect_close(aggregator.forward(z_RKD), scores_RK.mv(start.coefficient_K.to(torch::kDouble)), 1e-5,
               "start");
}

TEST(Aggregator, SpareRowsCanLearn) {
  const auto aggregator = Aggregator::from_linear(random_combination(3, 16), 3);
  const auto& parameters = aggregator.parameters();
  EXPECT_GT(parameters.at("fc1.weight").narrow(0, 6, 10).abs().sum(-1).min().item<double>(), 0);
  EXPECT_EQ(parameters.at("fc2.weight").narrow(1, 6, 10).abs().max().item<double>(), 0);
  EXPECT_THAT(error_of([] { Aggregator::from_linear(random_combination(9, 16), 1); }),
              HasSubstr("9 experts"));
}

TEST(Aggregator, FoldsStandardisationExactly) {
  const int64_t K = 3, D = 16;
  const Tensor mean_KD = torch::randn({K, D}), std_KD = torch::rand({K, D}) + 0.5,
               z_RKD = torch::randn({20, K, D});
  const Aggregator original(K, D, 7);
  Aggregator folded = original;
  folded.fold_standardisation(mean_KD, std_KD);
  const Tensor expected = original.forward((z_RKD - mean_KD) / std_KD);
  expect_close(folded.forward(z_RKD), expected, 1e-5, "folded");
  expect_close(original.forward(z_RKD), Aggregator(K, D, 7).forward(z_RKD), 0, "the copy is independent");
  folded.fold_standardisation(-mean_KD / std_KD, 1 / std_KD);
  expect_close(folded.forward(z_RKD), original.forward(z_RKD), 1e-5, "unfolded");
}

TEST(Aggregator, RandomStartIsSeededAndBounded) {
  const Aggregator one(4, 16, 1), same(4, 16, 1), other(4, 16, 2);
  const Tensor weight = one.parameters().at("fc1.weight");
  EXPECT_TRUE(torch::equal(weight, same.parameters().at("fc1.weight")));
  EXPECT_FALSE(torch::equal(weight, other.parameters().at("fc1.weight")));
  EXPECT_LE(weight.abs().max().item<double>(), 1 / 8.0);
  EXPECT_NEAR(weight.std().item<double>(), 1 / 8.0 / std::sqrt(3.0), 0.005);
  EXPECT_EQ(one.parameters().at("prelu.weight").item<double>(), 0.25);
}

TEST(Aggregator, FileIsReadBackAndChecked) {
  const TemporaryDirectory directory;
  const auto file = directory.path() / "aggregator.safetensors";
  const Aggregator original(2, 8, 1);
  original.save(file);
  const auto loaded = Aggregator::load(file, 2, 8);
  for (const auto& [name, tensor] : original.parameters())
    EXPECT_TRUE(torch::equal(loaded.parameters().at(name), tensor)) << name;

  const auto damaged = [&](auto change) {
    original.save(file);
    models::edit_tensors(file, change);
    return error_of([&] { Aggregator::load(file, 2, 8); });
  };
  EXPECT_THAT(error_of([&] { Aggregator::load(file, 3, 8); }),
              HasSubstr("expected [8, 24] for 3 experts of width 8"));
  EXPECT_THAT(damaged([](auto& tensors) { tensors.erase("fc2.bias"); }),
              HasSubstr("\"fc2.bias\" is missing"));
  EXPECT_THAT(damaged([](auto& tensors) { tensors["fc3.bias"] = torch::ones({1}); }),
              HasSubstr("\"fc3.bias\""));
  EXPECT_THAT(damaged([](auto& tensors) { tensors["fc1.bias"][3] = NAN; }), HasSubstr("not finite"));
}

}  // namespace
}  // namespace dmoerm::reward
