// Phase 3's objective: what it starts from and leaves, its loss over all rows, its gradient with the pull.
#include "dmoerm/train/aggregator_objective.h"

#include <gtest/gtest.h>

namespace dmoerm::train {
namespace {

class AggregatorObjectiveTest : public testing::Test {
 protected:
  void SetUp() override {
    torch::manual_seed(5);
    const int64_t rows = kStatesAtOnce + 90;  // more than are computed at a time
    examples_.z_RKD = 3 * torch::randn({rows, 2, 4}) + 1;
    for (int32_t i = 0; i + 1 < rows; i += 2) {
      examples_.held_out.push_back({{i, i + 1}});
      if (i < 40) examples_.train.push_back({{i, i + 1}, {i + 1, i, 1, 0.5}});
    }
  }

  // As the objective defines it, on states as they are, with the aggregator that finish() leaves.
  double loss_of(const reward::Aggregator& aggregator, const std::vector<std::vector<data::Edge>>& groups) {
    double total = 0;
    for (const auto& edges : groups)
      for (const data::Edge& edge : edges) {
        const Tensor rows =
            examples_.z_RKD.index_select(0, torch::tensor({int64_t{edge.better}, int64_t{edge.worse}}));
        const Tensor reward = aggregator.forward(rows).detach();
        const double gap = (reward[0] - reward[1]).item<double>();
        total += std::log1p(std::exp(edge.margin - gap)) / static_cast<double>(edges.size() * groups.size());
      }
    return total;
  }

  StateExamples examples_;
};

TEST_F(AggregatorObjectiveTest, EvaluatesEveryHeldOutRow) {
  reward::Aggregator aggregator(2, 4, 1);
  const reward::Aggregator before = aggregator;
  AggregatorObjective objective(aggregator, examples_, {});
  const double loss = objective.evaluate({0})[0].measures["loss"];
  EXPECT_NEAR(loss, loss_of(before, examples_.held_out), 1e-5);
}

TEST_F(AggregatorObjectiveTest, FinishGivesBackUnstandardisedInputs) {
  reward::Aggregator aggregator(2, 4, 1);
  const Tensor before = aggregator.forward(examples_.z_RKD);
  AggregatorObjective objective(aggregator, examples_, {});
  EXPECT_GT((aggregator.forward(examples_.z_RKD).detach() - before).abs().max().item<double>(), 1e-2);
  objective.finish();
  EXPECT_LT((aggregator.forward(examples_.z_RKD) - before).abs().max().item<double>(), 1e-4);
  for (const auto& [name, parameter] : aggregator.parameters()) EXPECT_FALSE(parameter.requires_grad());
}

TEST_F(AggregatorObjectiveTest, GradientEqualsFiniteDifferencesWithThePull) {
  const StepRequest request = {0, {{0, 1, 2, 3}}};
  reward::Aggregator aggregator(2, 4, 1);
  AggregatorObjective objective(aggregator, examples_, {.pull = 0.3});
  for (auto& [name, parameter] : aggregator.parameters()) parameter.detach().add_(0.1);  // off the start
  NamedTensors start;
  for (const auto& [name, parameter] : aggregator.parameters()) start[name] = parameter.detach() - 0.1;
  objective.accumulate(request);
  std::map<std::string, double> gradients;
  for (const auto& [name, parameter] : aggregator.parameters())
    gradients[name] = parameter.grad().flatten()[0].item<double>();
  const auto total = [&] {
    double sum = objective.accumulate(request).measures()[0]["loss"];
    for (const auto& [name, parameter] : aggregator.parameters())
      sum += 0.3 * (parameter.detach() - start[name]).square().sum().item<double>();
    return sum;
  };
  for (auto& [name, parameter] : aggregator.parameters()) {
    Tensor first = parameter.detach().flatten()[0];  // shares the parameter's memory
    first.add_(1e-2);
    const double above = total();
    first.sub_(2e-2);
    const double below = total();
    first.add_(1e-2);
    EXPECT_NEAR(gradients[name], (above - below) / 2e-2, 2e-3 * (1 + std::abs(gradients[name]))) << name;
  }
}

// A step takes the place of the one before it, whether it has as many rows or not.
TEST_F(AggregatorObjectiveTest, AStepKnowsNothingOfTheOnesBeforeIt) {
  reward::Aggregator aggregator(2, 4, 1), other(2, 4, 1);
  AggregatorObjective objective(aggregator, examples_, {.pull = 0.3});
  for (const std::vector<int64_t>& examples :
       {std::vector<int64_t>{0, 1, 2, 3}, {9, 4, 8, 5}, {6, 7}, {2, 3}, {1, 1}}) {
    const StepRequest request = {0, {examples}};
    AggregatorObjective fresh(other, examples_, {.pull = 0.3});
    const Json expected = fresh.accumulate(request).measures()[0];
    EXPECT_EQ(objective.accumulate(request).measures()[0], expected);
    for (const auto& [name, parameter] : aggregator.parameters())
      EXPECT_TRUE(torch::equal(parameter.grad(), other.parameters().at(name).grad())) << name;
    other = reward::Aggregator(2, 4, 1);
  }
}

}  // namespace
}  // namespace dmoerm::train
