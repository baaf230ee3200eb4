// The gated reward against its formula written out, its gradient against finite differences, its file.
#include "dmoerm/reward/gated_head.h"

#include "tests/reward/gated_fixtures.h"

namespace dmoerm::reward {
namespace {

constexpr int64_t kAnswers = 5, kPrompts = 3, kWidth = 6, kObjectives = 4;

GatedInputs random_inputs(uint64_t seed) {
  torch::manual_seed(seed);
  return {torch::randn({kAnswers, kWidth}), torch::tensor({3, 1, 12, 7, 3}), torch::randn({kPrompts, kWidth}),
          torch::tensor({0, 0, 2, 1, 2})};
}

GatedHead double_head(uint64_t seed) {
  GatedHead head = random_gated_head(kObjectives, kWidth, seed);
  for (auto& [name, value] : head.tensors()) value = value.to(torch::kDouble);
  return head;
}

// Number by number, as the header's formula reads.
double written_out(const GatedHead& head, const GatedInputs& inputs, int64_t r) {
  const auto at = [&](const std::string& name, int64_t i, int64_t j = -1) {
    const Tensor& tensor = head.tensors().at(name);
    return (j < 0 ? tensor[i] : tensor[i][j]).item<double>();
  };
  const Tensor prompt_D = inputs.prompt_GD[inputs.prompt_R[r].item<int64_t>()];
  std::vector<double> hidden;
  for (int64_t d = 0; d < kWidth; ++d)
    hidden.push_back((prompt_D[d].item<double>() - at("input.mean", d)) / at("input.std", d));
  for (const std::string layer : {"gate.fc1", "gate.fc2"}) {
    std::vector<double> next;
    for (int64_t h = 0; h < head.shape().hidden; ++h) {
      double sum = at(layer + ".bias", h);
      for (size_t i = 0; i < hidden.size(); ++i) sum += at(layer + ".weight", h, i) * hidden[i];
      next.push_back(std::max(0.0, sum));
    }
    hidden = next;
  }
  double reward = 0, total = 0;
  for (int64_t p = 0; p < kObjectives; ++p) {
    double logit = at("gate.out.bias", p), rating = at("ratings.bias", p);
    for (size_t h = 0; h < hidden.size(); ++h) logit += at("gate.out.weight", p, h) * hidden[h];
    for (int64_t d = 0; d < kWidth; ++d)
      rating += at("ratings.weight", p, d) * inputs.z_RD[r][d].item<double>();
    rating -= at("verbosity.penalty", p) * (inputs.length_R[r].item<double>() - at("verbosity.mean", 0)) /
              at("verbosity.std", 0);
    const double weight = std::exp(logit / head.shape().temperature);
    total += weight;
    reward += weight * rating;
  }
  return std::exp(at("gate.log_scale", 0)) * reward / total;
}

TEST(GatedHead, IsItsFormula) {
  const GatedInputs inputs = random_inputs(1);
  const GatedHead head = double_head(2);
  const Tensor reward_R = head.reward(inputs);
  ASSERT_EQ(reward_R.sizes(), torch::IntArrayRef({kAnswers}));
  for (int64_t r = 0; r < kAnswers; ++r)
    EXPECT_NEAR(reward_R[r].item<double>(), written_out(head, inputs, r), 1e-12);
  const Tensor single_R = random_gated_head(kObjectives, kWidth, 2).reward(inputs);
  EXPECT_LT((single_R - reward_R).abs().max().item<double>(), 1e-5);
}

// Central differences of every parameter of the gate, in double.
TEST(GatedHead, GradientIsThatOfFiniteDifferences) {
  const GatedInputs inputs = random_inputs(3);
  const Tensor direction_R = torch::randn({kAnswers}, torch::kDouble);
  const GatedHead head = double_head(4);
  const auto value = [&] { return head.reward(inputs).dot(direction_R); };
  auto parameters = head.gate_parameters();
  EXPECT_EQ(parameters.size(), 7u);
  for (auto& [name, parameter] : parameters) parameter.set_requires_grad(true);
  value().backward();
  torch::NoGradGuard no_grad;
  constexpr double h = 1e-6;
  for (auto& [name, parameter] : parameters) {
    const Tensor gradient = parameter.grad().reshape({-1});
    double* numbers = parameter.data_ptr<double>();
    EXPECT_GT(gradient.abs().max().item<double>(), 0) << name;
    for (int64_t i = 0; i < parameter.numel(); ++i) {
      const double kept = numbers[i];
      numbers[i] = kept + h;
      const double up = value().item<double>();
      numbers[i] = kept - h;
      const double down = value().item<double>();
      numbers[i] = kept;
      EXPECT_NEAR(gradient[i].item<double>(), (up - down) / (2 * h), 1e-7) << name << " " << i;
    }
  }
}

TEST(GatedHead, StartsWithEqualWeights) {
  const GatedHead head(
      {.hidden = 8},
      {torch::randn({kObjectives, kWidth}), torch::zeros({kObjectives}), torch::zeros({kObjectives})},
      {torch::zeros({kWidth}), torch::ones({kWidth}), 6.0, 1});
  const Tensor weight_GP = head.weights(torch::randn({kPrompts, kWidth}));
  EXPECT_LT((weight_GP - 1.5).abs().max().item<double>(), 1e-6);
}

TEST(GatedHead, LongerByOneDeviationCostsThePenalty) {
  const GatedHead head = double_head(5);
  const Tensor z_RD = torch::randn({1, kWidth}).expand({2, kWidth});
  const Tensor ratings_RP = head.ratings(z_RD, torch::tensor({10.0, 13.25}));
  EXPECT_LT(
      (ratings_RP[0] - ratings_RP[1] - head.tensors().at("verbosity.penalty")).abs().max().item<double>(),
      1e-12);
}

TEST(GatedHead, ReadsBackWhatItWrote) {
  const TemporaryDirectory directory;
  const auto file = directory.path() / "gate.safetensors";
  const GatedHead head = random_gated_head(kObjectives, kWidth, 6);
  head.save(file);
  const GatedHead read = GatedHead::load(file, head.shape(), kObjectives, kWidth);
  EXPECT_TRUE(torch::equal(read.reward(random_inputs(7)), head.reward(random_inputs(7))));
}

TEST(GatedHead, RefusesDamagedFiles) {
  const TemporaryDirectory directory;
  const auto file = directory.path() / "gate.safetensors";
  const GatedHead head = random_gated_head(kObjectives, kWidth, 6);
  const auto refuses = [&](const std::function<void(NamedTensors&)>& damage, const std::string& message) {
    NamedTensors tensors = head.tensors();
    damage(tensors);
    save_safetensors(file, tensors);
    const auto error = error_of([&] { GatedHead::load(file, head.shape(), kObjectives, kWidth); });
    EXPECT_THAT(error, HasSubstr("gate.safetensors] tensor \"" + message));
  };
  refuses([](auto& t) { t.erase("gate.log_scale"); }, "gate.log_scale\" is missing");
  refuses([](auto& t) { t["gate.fc3.bias"] = torch::zeros({12}); },
          "gate.fc3.bias\" is no part of a gated head");
  refuses([](auto& t) { t["ratings.bias"] = torch::zeros({5}); },
          "ratings.bias\" has shape [5], expected [4]");
  refuses([](auto& t) { t["input.mean"] = torch::full({6}, NAN); },
          "input.mean\" holds numbers that are not finite");
  refuses([](auto& t) { t["verbosity.std"] = torch::zeros({1}); },
          "verbosity.std\" holds deviations that are not");
}

}  // namespace
}  // namespace dmoerm::reward
