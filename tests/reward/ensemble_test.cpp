// Ensembles against their members, and the mixture of the router's best tasks.
#include "dmoerm/reward/ensemble.h"

#include <cmath>

#include "tests/reward/reward_fixtures.h"

namespace dmoerm::reward {
namespace {

using Kind = EnsembleRule::Kind;

std::vector<data::PreferenceRecord> some_records() {
  return {chat_record("Hi", {"Hello!", "No."}, "chat"),
          chat_record("Why?", {"So.", "Because it is.", "x"}, "text")};
}

TEST(EnsembleRule, CombinesByHand) {
  const std::vector<double> rewards = {1, 2, 6};
  EXPECT_DOUBLE_EQ(EnsembleRule{Kind::Mean}.combine(rewards), 3);
  EXPECT_DOUBLE_EQ(EnsembleRule{Kind::Worst}.combine(rewards), 1);
  EXPECT_DOUBLE_EQ((EnsembleRule{Kind::Uncertainty, 0.5}.combine(rewards)), 3 - 0.5 * 14.0 / 3);
}

TEST(Ensemble, CombinesStandardisedRewards) {
  const auto first = std::make_shared<Scorer>(tiny_model()), second = std::make_shared<Scorer>(tiny_model());
  Ensemble ensemble({{first, 1, 2}, {second, -1, 0.5}}, {Kind::Mean});
  const auto records = some_records();
  const auto scores = ensemble.score(records), own = first->score(records);
  for (size_t i = 0; i < records.size(); ++i)
    for (size_t a = 0; a < records[i].num_answers(); ++a)
      EXPECT_NEAR(scores[i].rewards[a], ((own[i].rewards[a] - 1) / 2 + (own[i].rewards[a] + 1) / 0.5) / 2,
                  1e-5);
  EXPECT_EQ(scores[0].task, "chat");
}

TEST(Ensemble, AMembersErrorIsTheRecords) {
  Ensemble ensemble({{std::make_shared<Scorer>(tiny_model()), 0, 1}}, {});
  const std::vector<data::PreferenceRecord> records = {ids_record({1}, {{100000}}, "chat"),
                                                       some_records()[0]};
  const auto scores = ensemble.score(records);
  EXPECT_THAT(scores[0].error, HasSubstr("outside the vocabulary"));
  EXPECT_EQ(scores[1].error, "");
  EXPECT_EQ(scores[1].rewards.size(), 2u);
}

TEST(Ensemble, SavesAndLoads) {
  const TemporaryDirectory directory;
  tiny_model().save(directory.path() / "model");
  const auto member = std::make_shared<Scorer>(Scorer::load(directory.path() / "model"));
  const std::vector<EnsembleMember> members = {{member, 0.5, 2}, {member, 0, 1}};
  const EnsembleRule rule{Kind::Uncertainty, 0.25};
  Ensemble::save(directory.path() / "ensemble", {"../model", "../model"}, members, rule);
  const auto loaded = load_scorer(directory.path() / "ensemble");
  Ensemble expected(members, rule);
  ScorerOptions raw;
  raw.raw = true;
  EXPECT_THAT(error_of([&] { load_scorer(directory.path() / "ensemble", raw); }), HasSubstr("no raw ones"));
  EXPECT_THAT(error_of([&] { DoubleLayerModel::load(directory.path() / "ensemble"); }),
              HasSubstr("kind \"ensemble\""));
  const auto records = some_records();
  const auto scores = loaded->score(records), wanted = expected.score(records);
  for (size_t i = 0; i < records.size(); ++i) EXPECT_EQ(scores[i].rewards, wanted[i].rewards);

  const auto manifest = directory.path() / "ensemble" / "dmoerm.json";
  const auto whole = read_file(manifest);
  const auto broken = [&](auto change) {
    write_file_atomically(manifest, whole);
    models::edit_json(manifest, change);
    return error_of([&] { load_scorer(directory.path() / "ensemble"); });
  };
  EXPECT_THAT(broken([](Json& j) { j["members"] = Json::array(); }), HasSubstr("\"members\" is empty"));
  EXPECT_THAT(broken([](Json& j) { j["members"][1]["path"] = "none"; }), HasSubstr("none"));
  EXPECT_THAT(broken([](Json& j) { j["members"][0]["path"] = "../ensemble"; }),
              HasSubstr("is an ensemble too"));
  EXPECT_THAT(broken([](Json& j) { j["members"][0]["reward_std"] = 0; }), HasSubstr("deviation 0"));
  EXPECT_THAT(broken([](Json& j) { j["combine"]["kind"] = "best"; }), HasSubstr("\"kind\" is \"best\""));
  EXPECT_THAT(broken([](Json& j) { j["combine"]["lambda"] = -1; }), HasSubstr("\"lambda\" is -1"));
  EXPECT_THAT(broken([](Json& j) { j["format"] = 2; }), HasSubstr("\"format\" is 2"));
}

TEST(Ensemble, NeedsMembers) {
  EXPECT_THAT(error_of([] { Ensemble({}, {}); }), HasSubstr("there is no member"));
}

// Reward of the two best tasks, weighted by their probabilities among the two.
TEST(SoftRouting, MixesTheBestTasks) {
  DoubleLayerModel model = tiny_model();
  model.router->top = 2;
  ScorerOptions raw;
  raw.raw = true;
  EXPECT_THAT(error_of([&] { Scorer(model, raw); }), HasSubstr("which raw ones cannot be"));
  Scorer soft(model), hard(tiny_model());
  std::vector<data::PreferenceRecord> records = some_records();
  const auto named = soft.score(records), same = hard.score(records);
  for (size_t i = 0; i < records.size(); ++i)
    EXPECT_EQ(named[i].rewards, same[i].rewards);  // nothing to route

  for (auto& record : records) record.task.clear();
  const auto mixed = soft.score(records);
  const std::vector<std::string> text(records.size(), "text"), chat(records.size(), "chat");
  const auto by_text = hard.score_as(records, text), by_chat = hard.score_as(records, chat);
  for (size_t i = 0; i < records.size(); ++i) {
    ASSERT_EQ(mixed[i].task_probs.size(), 2u);
    for (size_t a = 0; a < records[i].num_answers(); ++a)
      EXPECT_NEAR(
          mixed[i].rewards[a],
          mixed[i].task_probs[0] * by_text[i].rewards[a] + mixed[i].task_probs[1] * by_chat[i].rewards[a],
          2e-5 * std::max(1.0, std::abs(mixed[i].rewards[a])));
  }
}

TEST(SoftRouting, IsSavedWithTheModel) {
  const TemporaryDirectory directory;
  DoubleLayerModel model = tiny_model();
  model.router->top = 2;
  model.save(directory.path() / "model");
  EXPECT_EQ(DoubleLayerModel::load(directory.path() / "model").router->top, 2);
}

}  // namespace
}  // namespace dmoerm::reward
