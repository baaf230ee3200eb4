#include "tests/train/train_fixture.h"

#include "dmoerm/train/linear_fit.h"

namespace dmoerm::train {
namespace {

StateExamples random_states(int64_t groups, const std::vector<double>& truth, uint64_t seed) {
  RandomStream random(seed, "states");
  const auto experts = static_cast<int64_t>(truth.size());
  StateExamples examples;
  examples.z_RKD = torch::empty({2 * groups, experts, 4});
  float* z = examples.z_RKD.data_ptr<float>();
  for (int64_t i = 0; i < examples.z_RKD.numel(); ++i) z[i] = static_cast<float>(random.normal());
  for (int64_t group = 0; group < groups; ++group) {
    double difference = 0;
    for (int64_t k = 0; k < experts; ++k)
      difference +=
          truth[k] * (examples.z_RKD[2 * group][k][0] - examples.z_RKD[2 * group + 1][k][0]).item<double>();
    const bool first = random.uniform() < 1 / (1 + std::exp(-difference));
    data::Edge edge;
    edge.better = static_cast<int32_t>(2 * group + (first ? 0 : 1));
    edge.worse = static_cast<int32_t>(2 * group + (first ? 1 : 0));
    examples.train.push_back({edge});
  }
  return examples;
}

Tensor first_channel(int64_t experts) {
  Tensor head = torch::zeros({experts, 4});
  head.select(1, 0).fill_(1);
  return head;
}

// Bradley-Terry data with known weights: the maximum likelihood estimate is near them.
TEST(LinearFit, FindsTheWeightsThatMadeTheData) {
  const std::vector<double> truth = {1.0, -0.5, 0.0};
  const std::vector<double> weights =
      fit_linear(random_states(4000, truth, 1), first_channel(3), 1e-6).weights();
  for (size_t k = 0; k < truth.size(); ++k)
    EXPECT_NEAR(weights[k], truth[k], 0.12) << k;  // over four standard errors
}

class LinearFitMargin : public testing::TestWithParam<double> {};

TEST_P(LinearFitMargin, GradientVanishesAtTheSolution) {
  const double margin = GetParam();
  StateExamples examples = random_states(300, {0.7, 0.3}, 2);
  for (auto& edges : examples.train) edges[0].margin = margin;
  const double l2 = 0.001;
  const LinearFit fit = fit_linear(examples, first_channel(2), l2);
  const Tensor s_RK = (examples.z_RKD.select(2, 0).to(torch::kFloat64) - fit.mean_K) / fit.std_K;
  const Tensor c_K = fit.coefficient_K.clone().requires_grad_(true);
  Tensor loss = 0.5 * l2 * c_K.square().sum();
  for (const auto& edges : examples.train)
    loss = loss +
           torch::log1p(torch::exp(margin - (s_RK[edges[0].better] - s_RK[edges[0].worse]).dot(c_K))) / 300.0;
  loss.backward();
  EXPECT_LT(c_K.grad().abs().max().item<double>(), 1e-8);
}

INSTANTIATE_TEST_SUITE_P(Margins, LinearFitMargin, testing::Values(0.0, 3.0, 5.0, 20.0));

// The aggregator that starts from the fit gives exactly its combination, up to a constant.
TEST(LinearFit, AggregatorStartsAsTheCombination) {
  const StateExamples examples = random_states(50, {0.7, -0.3}, 3);
  const Tensor head = first_channel(2);
  const LinearFit fit = fit_linear(examples, head);
  const auto aggregator = reward::Aggregator::from_linear(fit.combination(head), 1);
  const std::vector<double> weights = fit.weights();
  const Tensor expected = weights[0] * examples.z_RKD.select(1, 0).select(1, 0) +
                          weights[1] * examples.z_RKD.select(1, 1).select(1, 0);
  const Tensor difference = aggregator.forward(examples.z_RKD).detach() - expected;
  EXPECT_LT((difference - difference.mean()).abs().max().item<double>(), 1e-5);
}

TEST(LinearFit, WithoutPreferencesIsAnError) {
  StateExamples empty;
  empty.z_RKD = torch::zeros({2, 1, 4});
  EXPECT_THROW(fit_linear(empty, first_channel(1)), Error);
}

}  // namespace
}  // namespace dmoerm::train
