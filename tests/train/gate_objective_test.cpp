// The gate's training: its loss is that of the scored reward, its gradient that of finite differences; on
// data whose weights depend on the prompt it beats fixed weights.
#include "dmoerm/train/gate_objective.h"

#include "dmoerm/metrics/rank_correlation.h"
#include "dmoerm/train/linear_fit.h"
#include "dmoerm/train/ridge.h"
#include "dmoerm/train/verbosity.h"
#include "tests/train/random_tensor.h"
#include "tests/train/train_fixture.h"

namespace dmoerm::train {
namespace {

std::vector<double> to_vector(const Tensor& values) {
  const Tensor wide = values.detach().to(torch::kFloat64).contiguous();
  return {wide.data_ptr<double>(), wide.data_ptr<double>() + wide.numel()};
}

// Four groups of three answers; two of the groups share a prompt.
GateExamples small_examples() {
  GateExamples examples;
  examples.inputs = {normal({12, 5}, 1), 10 + 4 * normal({12}, 2), normal({3, 5}, 3),
                     torch::tensor({0, 0, 0, 1, 1, 1, 0, 0, 0, 2, 2, 2})};
  for (int32_t group = 0; group < 4; ++group) {
    const int32_t first = 3 * group;
    (group < 3 ? examples.train : examples.held_out)
        .push_back({{first + 1, first, 1, 0}, {first + 1, first + 2, 0.5F, 0.25F}});
  }
  return examples;
}

// In double, with all parts of the head at work.
reward::GatedHead small_head() {
  reward::GatedHead head({.hidden = 7, .layers = 2, .temperature = 1.5},
                         {normal({3, 5}, 4), normal({3}, 5), normal({3}, 6), 9, 3.5},
                         {normal({5}, 7), normal({5}, 8).abs() + 0.5, 1.2, 1});
  uint64_t seed = 10;
  for (auto& [name, value] : head.tensors()) value = value.to(torch::kDouble);
  for (auto& [name, value] : head.gate_parameters()) value.add_(0.5 * normal(value.sizes(), seed++));
  return head;
}

// The loss of groups written out over what scoring gives.
Tensor scored_loss(const reward::GatedHead& head, const GateExamples& examples,
                   const std::vector<std::vector<data::Edge>>& groups) {
  const Tensor reward_R = head.reward(examples.inputs);
  Tensor loss = torch::zeros({}, torch::kDouble);
  for (const auto& edges : groups) {
    double weights = 0;
    for (const data::Edge& edge : edges) weights += edge.weight;
    for (const data::Edge& edge : edges) {
      const Tensor gap = reward_R[edge.better] - reward_R[edge.worse] - edge.margin;
      loss =
          loss + torch::log1p(torch::exp(-gap)) * edge.weight / weights / static_cast<double>(groups.size());
    }
  }
  return loss;
}

TEST(GateObjective, TrainsTheRewardThatIsScored) {
  const GateExamples examples = small_examples();
  reward::GatedHead head = small_head();
  const Tensor expected = scored_loss(head, examples, examples.train);
  GateObjective objective(head, examples, {});
  const StepResult result = objective.accumulate({0, {{0, 1, 2}}});
  EXPECT_NEAR(result.measures()[0].at("loss").get<double>(), expected.item<double>(), 1e-7);  // float weights
  EXPECT_NEAR(objective.evaluate({0})[0].score,
              -scored_loss(head, examples, examples.held_out).item<double>(), 1e-7);

  // Finite differences of the written loss.
  torch::NoGradGuard no_grad;
  for (auto& [name, parameter] : objective.parameters(0)) {
    const Tensor gradient = parameter.grad().reshape({-1});
    double* numbers = parameter.data_ptr<double>();
    constexpr double h = 1e-6;
    for (int64_t i = 0; i < parameter.numel(); ++i) {
      const double kept = numbers[i];
      numbers[i] = kept + h;
      const double up = scored_loss(head, examples, examples.train).item<double>();
      numbers[i] = kept - h;
      const double down = scored_loss(head, examples, examples.train).item<double>();
      numbers[i] = kept;
      EXPECT_NEAR(gradient[i].item<double>(), (up - down) / (2 * h), 1e-6) << name << " " << i;
    }
  }
}

// The published second stage trains without the length taken out and scores with it. Ours must notice it.
TEST(GateObjective, LengthCountsInTraining) {
  const GateExamples examples = small_examples();
  reward::GatedHead head = small_head(), without = small_head();
  without.tensors().at("verbosity.penalty").zero_();
  const auto loss = [&](reward::GatedHead& of) {
    return GateObjective(of, examples, {}).evaluate({0})[0].score;
  };
  EXPECT_GT(std::abs(loss(head) - loss(without)), 1e-3);
}

TEST(GateObjective, LeavesNoGradientBehind) {
  const GateExamples examples = small_examples();
  reward::GatedHead head = small_head();
  {
    GateObjective objective(head, examples, {});
    objective.accumulate({0, {{1}}});
  }
  for (const auto& [name, parameter] : head.gate_parameters()) {
    EXPECT_FALSE(parameter.requires_grad());
    EXPECT_FALSE(parameter.grad().defined());
  }
}

TEST(GateObjective, WithoutHeldOutGroupsThereIsNothingToEvaluate) {
  GateExamples examples = small_examples();
  examples.held_out.clear();
  reward::GatedHead head = small_head();
  EXPECT_TRUE(GateObjective(head, examples, {}).evaluate({0})[0].measures.is_null());
}

// Ratings of eight objectives that grow with length too; what the reader wants depends on the prompt's topic.
class GateWorld : public TrainTest {
 protected:
  static constexpr int64_t kWidth = 24, kObjectives = 8, kTopics = 4, kGroups = 2400, kTrain = 1600,
                           kHeldOut = 200, kAnswers = 3;

  GateWorld() {
    const int64_t rows = kGroups * kAnswers;
    const Tensor quality_RP = normal({rows, kObjectives}, 1);
    const Tensor length_R = normal({rows}, 2);
    const Tensor mix_MD = normal({kObjectives + 1, kWidth}, 3);
    z_RD_ = torch::cat({quality_RP, length_R.unsqueeze(1)}, 1).mm(mix_MD) + 0.1 * normal({rows, kWidth}, 4);
    label_RP_ = quality_RP + 0.8 * length_R.unsqueeze(1) + 0.5 * normal({rows, kObjectives}, 5);
    // A topic cares for two objectives, and a little for all.
    true_TP_ = torch::full({kTopics, kObjectives}, 0.25, torch::kFloat64);
    RandomStream random(6, "topics");
    const Tensor centre_TD = 1.5 * normal({kTopics, kWidth}, 7), noise_GD = normal({kGroups, kWidth}, 8);
    Tensor prompt_GD = torch::empty({kGroups, kWidth}, torch::kFloat64);
    std::vector<int64_t> prompt_R;
    for (int64_t topic = 0; topic < kTopics; ++topic) true_TP_[topic].narrow(0, 2 * topic, 2).fill_(2);
    for (int64_t group = 0; group < kGroups; ++group) {
      topics_.push_back(static_cast<int64_t>(random.below(kTopics)));
      prompt_GD[group] = centre_TD[topics_.back()] + noise_GD[group];
      for (int64_t a = 0; a < kAnswers; ++a) prompt_R.push_back(group);
    }
    examples_.inputs = {z_RD_.to(torch::kFloat32), 100 + 30 * length_R, prompt_GD.to(torch::kFloat32),
                        torch::tensor(prompt_R)};
    const std::vector<double> gold = to_vector(
        (quality_RP * true_TP_.index_select(0, torch::tensor(topics_).repeat_interleave(kAnswers))).sum(1));
    for (int32_t group = 0; group < kGroups; ++group) {
      std::vector<data::Edge> edges;
      for (int32_t a = 0; a < kAnswers; ++a)
        for (int32_t b = 0; b < a; ++b) {
          const int32_t i = group * kAnswers + a, j = group * kAnswers + b;
          const bool first = random.uniform() < 1 / (1 + std::exp(gold[j] - gold[i]));
          edges.push_back({first ? i : j, first ? j : i, 1, 0});
        }
      (group < kTrain              ? examples_.train
       : group < kTrain + kHeldOut ? examples_.held_out
                                   : test_)
          .push_back(std::move(edges));
    }
  }

  double test_accuracy(const Tensor& reward_R) const {
    EdgeLists groups;
    for (const auto& edges : test_) groups.push_back(&edges);
    const RowBatch batch = rows_of(groups);
    return weighted_accuracy(reward_R.detach().index_select(0, batch.row_R), batch.edges);
  }

  Tensor z_RD_, label_RP_, true_TP_;
  std::vector<int64_t> topics_;  // of each group
  GateExamples examples_;
  std::vector<std::vector<data::Edge>> test_;
};

TEST_F(GateWorld, BeatsFixedWeightsAndIgnoresLength) {
  constexpr int64_t train_rows = kTrain * kAnswers, rows = kGroups * kAnswers;
  const RidgeFit fit = fit_ridge({examples_.inputs.z_RD, label_RP_, train_rows},
                                 std::vector<std::string>(kObjectives, "objective"));
  const Tensor length_R = examples_.inputs.length_R;
  reward::RatingHeads heads = {
      fit.weight_PD, fit.offset_P, {}, length_R.mean().item<double>(), length_R.std().item<double>()};
  const std::vector<double> standard = to_vector((length_R - heads.length_mean) / heads.length_std);
  std::vector<double> penalties;
  for (int64_t p = 0; p < kObjectives; ++p)
    penalties.push_back(verbosity_penalty(to_vector(z_RD_.mv(fit.weight_PD[p])), standard));
  heads.penalty_P = torch::tensor(penalties, torch::kFloat64);
  const Tensor& prompt_GD = examples_.inputs.prompt_GD;
  reward::GatedHead head({.hidden = 64, .layers = 2}, heads, {prompt_GD.mean(0), prompt_GD.std(0), 1, 1});

  const Tensor rating_RP = head.ratings(examples_.inputs.z_RD, length_R);
  StateExamples fixed{rating_RP.unsqueeze(1), examples_.train, {}};
  const Tensor fixed_P =
      torch::tensor(fit_linear(fixed, torch::eye(kObjectives)).weights()).to(torch::kFloat32);
  const double uniform = test_accuracy(head.reward(examples_.inputs));
  const double with_fixed_weights = test_accuracy(rating_RP.mv(fixed_P));

  RunDirectory run(directory_ / "run", false);
  run.begin({{"test", 1}});
  {
    GateObjective objective(head, examples_, {});
    TrainOptions options = {.epochs = 12, .batch = 64, .lr = 3e-3, .weight_decay = 0};
    Trainer(objective, options, 1, "gate", run, 1e12).run();
  }
  const Tensor reward_R = head.reward(examples_.inputs);
  const double gated = test_accuracy(reward_R);
  EXPECT_GT(gated, with_fixed_weights + 0.03);
  EXPECT_GT(gated, uniform + 0.03);

  EXPECT_LT(std::abs(metrics::rank_correlation(to_vector(reward_R), standard)), 0.05);
  const Tensor raw_R = z_RD_.mm(fit.weight_PD.t()).sum(1);
  EXPECT_GT(metrics::rank_correlation(to_vector(raw_R), standard), 0.5);  // before length is taken out

  const std::vector<double> weight_GP =
      to_vector(head.weights(prompt_GD.narrow(0, kTrain, kGroups - kTrain)));
  const Tensor topic_G = torch::tensor(topics_).narrow(0, kTrain, kGroups - kTrain);
  const double agreement = metrics::correlation(weight_GP, to_vector(true_TP_.index_select(0, topic_G)));
  EXPECT_GT(agreement, 0.8);
  RecordProperty("uniform", std::to_string(uniform));
  RecordProperty("fixed", std::to_string(with_fixed_weights));
  RecordProperty("gated", std::to_string(gated));
  RecordProperty("weights", std::to_string(agreement));
  EXPECT_EQ(reward_R.size(0), rows);
}

}  // namespace
}  // namespace dmoerm::train
