// Routers against choices made by brute force, and the properties that each kind has.
#include "dmoerm/nn/router.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "dmoerm/core/error.h"
#include "tests/nn/tiny_decoder.h"

namespace dmoerm::nn {
namespace {

struct Choice {
  std::set<int64_t> experts;
  std::map<int64_t, double> weights;
};

// One row by plain loops: every set of groups and, within the best one, every expert.
Choice choose_by_force(const RouterConfig& config, const Tensor& logits_E, const Tensor& bias_E) {
  const Tensor scores_E =
      config.score == RouterScore::Softmax ? logits_E.softmax(0) : 1 / (1 + (-logits_E).exp());
  std::vector<double> score, choice;
  for (int64_t e = 0; e < config.num_experts; ++e) {
    score.push_back(scores_E[e].item<double>());
    choice.push_back(score[e] + (bias_E.defined() ? bias_E[e].item<double>() : 0.0));
  }
  const int64_t size = config.num_experts / config.num_groups;
  double best_total = -1e9;
  uint64_t best_groups = 0;
  for (uint64_t groups = 0; groups < (uint64_t{1} << config.num_groups); ++groups) {
    if (__builtin_popcountll(groups) != config.top_groups) continue;
    double total = 0;
    for (int64_t g = 0; g < config.num_groups; ++g) {
      if (!(groups >> g & 1)) continue;
      std::vector<double> in_group(choice.begin() + g * size, choice.begin() + (g + 1) * size);
      std::sort(in_group.rbegin(), in_group.rend());
      for (int64_t i = 0; i < std::min(size, config.group_best); ++i) total += in_group[i];
    }
    if (total > best_total) std::tie(best_total, best_groups) = std::pair(total, groups);
  }
  Choice result;
  double sum = 0;
  for (int64_t k = 0; k < config.top_k; ++k) {
    int64_t best = -1;
    for (int64_t e = 0; e < config.num_experts; ++e)
      if ((best_groups >> (e / size) & 1) && result.experts.count(e) == 0 &&
          (best < 0 || choice[e] > choice[best]))
        best = e;
    result.experts.insert(best);
    sum += score[best];
  }
  for (const int64_t e : result.experts)
    result.weights[e] = score[e] * config.scale / (config.normalize ? sum : 1.0);
  return result;
}

std::vector<std::pair<std::string, RouterConfig>> routers() {
  const RouterConfig mixtral = {8, 2, RouterScore::Softmax, true};
  const RouterConfig qwen2 = {8, 3, RouterScore::Softmax, false};
  const RouterConfig sigmoid = {8, 2, RouterScore::Sigmoid, true};
  const RouterConfig v2 = {12, 3, RouterScore::Softmax, false, 16, false, 4, 2, 1};
  const RouterConfig v3 = {12, 4, RouterScore::Sigmoid, true, 2.5, true, 4, 2, 2};
  const RouterConfig one = {1, 1, RouterScore::Softmax, true}, all = {5, 5, RouterScore::Softmax, false};
  return {{"mixtral", mixtral}, {"qwen2_moe", qwen2}, {"sigmoid", sigmoid}, {"deepseek_v2", v2},
          {"deepseek_v3", v3},  {"one expert", one},  {"all experts", all}};
}

TEST(TopKRouter, EqualsBruteForce) {
  for (const auto& [name, config] : routers()) {
    const Tensor weight_ED = random_tensor(name, {config.num_experts, 6}, 0.7, torch::kFloat64);
    const Tensor bias_E =
        config.correction_bias ? random_tensor("bias", {config.num_experts}, 0.3, torch::kFloat64) : Tensor();
    const Tensor x_TD = random_tensor("x", {60, 6}, 1, torch::kFloat64);
    const Routing routing = TopKRouter(config, weight_ED, bias_E).route(x_TD);
    for (int64_t t = 0; t < 60; ++t) {
      const Choice expected = choose_by_force(config, torch::mv(weight_ED, x_TD[t]), bias_E);
      std::set<int64_t> experts;
      for (int64_t k = 0; k < config.top_k; ++k) {
        const auto e = routing.expert_Tk[t][k].item<int64_t>();
        experts.insert(e);
        EXPECT_NEAR(routing.weight_Tk[t][k].item<double>(), expected.weights.at(e), 1e-12) << name;
      }
      EXPECT_EQ(experts, expected.experts) << name << " row " << t;
    }
    if (config.normalize)
      expect_near(routing.weight_Tk.sum(1), torch::full({60}, config.scale, torch::kFloat64), 1e-12, name);
  }
}

std::vector<int64_t> best_of(const std::vector<double>& values, int64_t count) {
  std::vector<int64_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return values[a] > values[b]; });
  order.resize(count);
  return order;
}

std::vector<double> weights_by_expert(const Routing& routing, int64_t t, int64_t num_experts) {
  std::vector<double> result(num_experts, 0.0);
  for (int64_t k = 0; k < routing.expert_Tk.size(1); ++k)
    result[routing.expert_Tk[t][k].item<int64_t>()] += routing.weight_Tk[t][k].item<double>();
  return result;
}

// group_limited_greedy of transformers' DeepSeek-V2: a group is worth its best score, the scores of the other
// groups become 0, and the k best of what is left are the weights. With large logits most scores are 0 too.
TEST(TopKRouter, GroupLimitedChoiceOfDeepseekV2) {
  const RouterConfig config = {12, 5, RouterScore::Softmax, false, 16, false, 4, 2, 1};
  for (const double height : {1.0, 400.0}) {
    const Tensor weight_ED = random_tensor("v2", {12, 6}, height, torch::kFloat64);
    const Tensor x_TD = random_tensor("x", {60, 6}, 1, torch::kFloat64);
    const Routing routing = TopKRouter(config, weight_ED).route(x_TD);
    for (int64_t t = 0; t < 60; ++t) {
      const Tensor scores_E = torch::mv(weight_ED, x_TD[t]).softmax(0);
      std::vector<double> score(scores_E.data_ptr<double>(), scores_E.data_ptr<double>() + 12), group,
          expected(12);
      for (int64_t g = 0; g < 4; ++g) group.push_back(*std::max_element(&score[3 * g], &score[3 * g] + 3));
      const std::vector<int64_t> best = best_of(group, 2);
      for (int64_t e = 0; e < 12; ++e)
        if (std::find(best.begin(), best.end(), e / 3) == best.end()) score[e] = 0;
      for (const int64_t e : best_of(score, 5)) expected[e] = 16 * score[e];
      const std::vector<double> found = weights_by_expert(routing, t, 12);
      for (int64_t e = 0; e < 12; ++e) EXPECT_NEAR(found[e], expected[e], 1e-11) << height << " row " << t;
    }
  }
}

// transformers' DeepSeek-V3 masks the other groups with minus infinity: where biases make every score of the
// chosen groups negative, an expert of another group is still not taken.
TEST(TopKRouter, NegativeCorrectionBiasesStayInsideTheBestGroups) {
  const RouterConfig config = {12, 5, RouterScore::Sigmoid, true, 2.5, true, 4, 2, 2};
  const Tensor weight_ED = random_tensor("v3", {12, 6}, 1, torch::kFloat64);
  const Tensor x_TD = random_tensor("x", {60, 6}, 1, torch::kFloat64);
  const Tensor bias_E = -3 + random_tensor("bias", {12}, 0.5, torch::kFloat64);
  const Routing routing = TopKRouter(config, weight_ED, bias_E).route(x_TD);
  for (int64_t t = 0; t < 60; ++t) {
    const Tensor scores_E = torch::mv(weight_ED, x_TD[t]).sigmoid(), choice_E = scores_E + bias_E;
    std::vector<double> choice(choice_E.data_ptr<double>(), choice_E.data_ptr<double>() + 12), group,
        expected(12);
    for (int64_t g = 0; g < 4; ++g) {
      const std::vector<double> in_group(&choice[3 * g], &choice[3 * g] + 3);
      const std::vector<int64_t> two = best_of(in_group, 2);
      group.push_back(in_group[two[0]] + in_group[two[1]]);
    }
    const std::vector<int64_t> best = best_of(group, 2);
    for (int64_t e = 0; e < 12; ++e)
      if (std::find(best.begin(), best.end(), e / 3) == best.end()) choice[e] = -INFINITY;
    double sum = 0;
    for (const int64_t e : best_of(choice, 5)) sum += expected[e] = scores_E[e].item<double>();
    const std::vector<double> found = weights_by_expert(routing, t, 12);
    for (int64_t e = 0; e < 12; ++e) EXPECT_NEAR(found[e], 2.5 * expected[e] / sum, 1e-12) << " row " << t;
  }
}

TEST(TopKRouter, CorrectionBiasChangesTheChoiceAndNotTheWeights) {
  const RouterConfig config = {4, 1, RouterScore::Sigmoid, false, 1, true};
  const Tensor weight_ED = random_tensor("w", {4, 6}, 0.5), x_TD = random_tensor("x", {20, 6}, 1);
  const Routing routing = TopKRouter(config, weight_ED, torch::tensor({0.f, 0.f, 5.f, 0.f})).route(x_TD);
  EXPECT_TRUE((routing.expert_Tk == 2).all().item<bool>());
  EXPECT_TRUE(
      torch::equal(routing.weight_Tk.squeeze(1), torch::linear(x_TD, weight_ED).sigmoid().select(1, 2)));
}

TEST(TopKRouter, LogitsAreFloatWhateverTheStates) {
  const RouterConfig config = {8, 2, RouterScore::Softmax, true};
  const Tensor weight_ED = random_tensor("w", {8, 16}, 0.5).to(torch::kBFloat16);
  const Tensor x_TD = random_tensor("x", {5, 16}, 1).to(torch::kBFloat16);
  const Routing routing = TopKRouter(config, weight_ED).route(x_TD);
  EXPECT_EQ(routing.logits_TE.scalar_type(), torch::kFloat32);
  EXPECT_EQ(routing.weight_Tk.scalar_type(), torch::kFloat32);
  expect_near(routing.logits_TE, torch::linear(x_TD.to(torch::kFloat64), weight_ED.to(torch::kFloat64)), 1e-6,
              "");
}

TEST(TopKRouter, NoRowsAndOneRow) {
  for (const auto& [name, config] : routers()) {
    const Tensor weight_ED = random_tensor(name, {config.num_experts, 6}, 0.7);
    const Tensor bias_E = config.correction_bias ? torch::zeros({config.num_experts}) : Tensor();
    const TopKRouter router(config, weight_ED, bias_E);
    EXPECT_EQ(router.route(torch::empty({0, 6})).expert_Tk.sizes(), torch::IntArrayRef({0, config.top_k}))
        << name;
    EXPECT_EQ(router.route(torch::ones({1, 6})).weight_Tk.sizes(), torch::IntArrayRef({1, config.top_k}))
        << name;
  }
}

TEST(TopKRouter, NoiseFollowsTheKeyNotThePlace) {
  const RouterConfig config = {6, 2, RouterScore::Softmax, true};
  const Tensor weight_ED = torch::zeros({6, 3}), x_TD = torch::ones({3, 3});
  const std::vector<uint64_t> keys = {7, 8, 9}, turned = {9, 7};
  const Routing routing = TopKRouter(config, weight_ED, {}, {0.5, 1, keys}).route(x_TD);
  const Routing other = TopKRouter(config, weight_ED, {}, {0.5, 1, turned}).route(x_TD.narrow(0, 0, 2));
  EXPECT_TRUE(torch::equal(routing.logits_TE[2], other.logits_TE[0]));
  EXPECT_TRUE(torch::equal(routing.logits_TE[0], other.logits_TE[1]));
  std::vector<uint64_t> many(4000);
  std::iota(many.begin(), many.end(), 0);
  const Tensor noise =
      TopKRouter(config, weight_ED, {}, {0.5, 2, many}).route(torch::ones({4000, 3})).logits_TE;
  EXPECT_NEAR(noise.std().item<double>(), 0.5, 0.01);
  EXPECT_NEAR(noise.mean().item<double>(), 0, 0.02);
}

TEST(MoeConfig, RefusesShapesThatNoLayerHas) {
  const auto error_with = [](auto change) -> std::string {
    MoeConfig config;
    config.router = {12, 4, RouterScore::Sigmoid, true, 1, true, 4, 2, 2};
    config.intermediate_size = 8;
    config.validate(2, "moe");
    change(config);
    try {
      config.validate(2, "moe");
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  using testing::HasSubstr;
  EXPECT_THAT(error_with([](auto& c) { c.router.num_experts = 0; }), HasSubstr("number of experts is 0"));
  EXPECT_THAT(error_with([](auto& c) { c.router.top_k = 13; }), HasSubstr("experts per token is 13"));
  EXPECT_THAT(error_with([](auto& c) { c.router.num_groups = 5; }),
              HasSubstr("12 experts cannot be cut into 5"));
  EXPECT_THAT(error_with([](auto& c) { c.router.top_groups = 5; }), HasSubstr("of 5 groups"));
  EXPECT_THAT(error_with([](auto& c) { c.router.top_groups = 1; }),
              HasSubstr("4 experts per token do not fit"));
  EXPECT_THAT(error_with([](auto& c) { c.router.group_best = 4; }), HasSubstr("the best 4 scores"));
  EXPECT_THAT(error_with([](auto& c) { c.router.scale = NAN; }), HasSubstr("nan"));
  EXPECT_THAT(error_with([](auto& c) { c.intermediate_size = 0; }), HasSubstr("of an expert is 0"));
  EXPECT_THAT(error_with([](auto& c) { c.shared_intermediate_size = -1; }), HasSubstr("shared expert is -1"));
  EXPECT_THAT(error_with([](auto& c) { c.sparse_layers = {true}; }), HasSubstr("given for 1 layers"));
}

}  // namespace
}  // namespace dmoerm::nn
