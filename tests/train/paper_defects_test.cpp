// The defects of the published release, each with a test that would catch it. Elsewhere: (1) pretrained
// weights are loaded: tests/models/fixtures_test.cpp; (3) the better rank counts as right in training and
// evaluation: LearnsAndKeepsTheBest; (4) heads train, are saved and come back:
// ExpertsTrainedTogetherEqualEachTrainedAlone and tests/reward/double_layer_model_test.cpp; (6) evaluation
// reads every line: tests/metrics/evaluation_test.cpp.
#include <set>

#include "tests/train/train_fixture.h"

namespace dmoerm::train {
namespace {

using PaperDefects = TrainTest;

// (2) The validation share was used as the training share.
TEST_F(PaperDefects, SplitsHaveTheirShares) {
  const data::GroupStore store = make_store(random_records(3000, 2, 50, 1));
  const SplitShares shares{0.6, 0.1};
  const GroupSplit first = split_groups(store, all_groups(store), 1, shares),
                   third = split_groups(store, all_groups(store), 3, shares);
  EXPECT_NEAR(first.size() / 3000.0, 0.6, 0.04);  // over four standard deviations
  EXPECT_EQ(first.size() + third.size(), store.size());
  EXPECT_NEAR(static_cast<double>(first.held_out.size()) / static_cast<double>(first.size()), 0.1, 0.03);
  EXPECT_NEAR(static_cast<double>(third.held_out.size()) / static_cast<double>(third.size()), 0.1, 0.04);
  std::set<uint64_t> prompts;
  for (const int64_t group : first.train) prompts.insert(store.prompt_hash(group));
  for (const auto* part : {&first.held_out, &third.train, &third.held_out})
    for (const int64_t group : *part) EXPECT_EQ(prompts.count(store.prompt_hash(group)), 0u);
}

// (5) After the first evaluation dropout was never active again.
TEST_F(PaperDefects, DropoutIsActiveAfterAnEvaluation) {
  const data::GroupStore store = make_store(random_records(8, 2, 50, 2));
  nn::Decoder decoder(tiny_config(), 3);
  models::Adapter adapter = models::new_adapter(decoder, {.rank = 4, .alpha = 8, .dropout = 0.5}, 2);
  for (auto& [layer, pair] : adapter.lora.pairs) pair.b.fill_(0.3);
  PreferenceLane lane;
  lane.name = "m";
  lane.head_PD = random_head(1, 16, 5);
  lane.lora = adapter.lora;
  lane.train = lane.held_out = human_examples(store, all_groups(store));
  const int64_t count = static_cast<int64_t>(lane.train.size());
  std::vector<PreferenceLane> lanes;
  lanes.push_back(std::move(lane));
  PreferenceObjective objective(store, decoder, false, std::move(lanes), {}, 1);
  StepRequest request{0, {{}}};
  for (int64_t i = 0; i < count; ++i) request.examples[0].push_back(i);
  const double before = objective.accumulate(request).measures()[0]["loss"];
  const double evaluated = objective.evaluate({0})[0].measures["loss"];
  const double after = objective.accumulate(request).measures()[0]["loss"];
  request.step = 1;
  const double next_step = objective.accumulate(request).measures()[0]["loss"];
  EXPECT_EQ(before, after) << "the same step draws the same masks";
  EXPECT_NE(after, next_step) << "another step draws others";
  EXPECT_GT(std::abs(after - evaluated), 1e-4) << "evaluation has no dropout, training has";
  EXPECT_EQ(evaluated, objective.evaluate({0})[0].measures["loss"].get<double>());
}

// (7) Softmax before the cross-entropy (which then cannot fall below 0.9 for five tasks); the last router
// used and not the best; a reloaded router not used.
TEST_F(PaperDefects, RouterLearnsKeepsTheBestAndComesBack) {
  reward::TaskRouter router;
  router.kind = reward::RouterKind::Classifier;
  router.labels = {"a", "b", "c", "d", "e"};
  router.own.emplace();
  router.own->family = "llama";
  router.own->decoder = std::make_shared<nn::Decoder>(tiny_config(), 3);
  router.own->head = models::HeadKind::Score;
  router.own->score_weight = random_head(5, 16, 4);
  router.own->labels = router.labels;
  std::vector<RouterExample> train, held_out;
  for (uint64_t i = 0; i < 300; ++i) {
    RandomStream random(1, "router", {i});
    RouterExample example;
    example.label = static_cast<int64_t>(i % 5);
    for (int t = 0; t < 6; ++t)
      example.tokens.push_back(static_cast<int32_t>(10 * example.label + random.below(10)));
    (i < 250 ? train : held_out).push_back(std::move(example));
  }
  const std::vector<RouterExample> probes = held_out;
  const data::GroupStore store = make_store(random_records(1, 2, 50, 1));
  RunDirectory run(directory_ / "run", false);
  run.begin({{"test", 1}});
  StageContext context{run, store, 1, 1e12};
  train_router(context, "router", router, std::move(train), std::move(held_out),
               {.epochs = 6, .batch = 16, .lr = 5e-3}, 200);
  double loss = 9, best = 0;
  for (const Json& line : metrics(directory_ / "run")) {
    if (line.contains("eval"))
      best = std::max(best, line["eval"]["accuracy"].get<double>());
    else
      loss = line["loss"];
  }
  EXPECT_LT(loss, 0.3);
  const auto accuracy = [&](const reward::TaskRouter& one) {
    std::vector<std::vector<int32_t>> inputs;
    for (const RouterExample& probe : probes) inputs.push_back(probe.tokens);
    const Tensor choice = one.logits(inputs).argmax(1);
    double right = 0;
    for (size_t i = 0; i < probes.size(); ++i) right += choice[i].item<int64_t>() == probes[i].label;
    return right / static_cast<double>(probes.size());
  };
  EXPECT_DOUBLE_EQ(accuracy(router), best);
  EXPECT_GT(best, 0.9);
  router.save(directory_ / "router", "");
  const auto loaded = reward::TaskRouter::load(directory_ / "router", reward::RouterKind::Classifier,
                                               router.labels, nullptr, {});
  EXPECT_DOUBLE_EQ(accuracy(loaded), best);
}

// (8) One full pass of the base for each expert and nothing kept in phase 3: here the states are computed
// once, under all experts together, and equal each expert's own.
TEST_F(PaperDefects, StatesAreComputedOnceForAllExperts) {
  const data::GroupStore store = make_store(random_records(30, 3, 50, 6));
  nn::Decoder decoder(tiny_config(), 3);
  nn::ExpertSet all;
  for (uint64_t expert = 0; expert < 3; ++expert) {
    models::Adapter adapter = models::new_adapter(decoder, {.rank = 4, .alpha = 8}, expert);
    for (auto& [layer, pair] : adapter.lora.pairs) pair.b.fill_(0.1f * static_cast<float>(expert + 1));
    all.experts.push_back(adapter.lora);
  }
  RunDirectory run(directory_ / "run", false);
  run.begin({{"test", 1}});
  StageContext context{run, store, 1, 1e12};
  const GroupSplit split = split_groups(store, all_groups(store), 0, {0.6, 0.2});
  const StateExamples together = compute_states(context, "all", decoder, all, split, 100);
  ASSERT_EQ(together.z_RKD.size(1), 3);
  for (int64_t expert = 0; expert < 3; ++expert) {
    nn::ExpertSet one;
    one.experts = {all.experts[expert]};
    const StateExamples alone = compute_states(context, "one", decoder, one, split, 10000);
    EXPECT_LT((alone.z_RKD.select(1, 0) - together.z_RKD.select(1, expert)).abs().max().item<double>(), 1e-5);
  }
}

}  // namespace
}  // namespace dmoerm::train
