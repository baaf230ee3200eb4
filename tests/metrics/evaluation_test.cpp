// evaluate(): its rows against accuracies counted from the scorer's own rewards.
#include "dmoerm/metrics/evaluation.h"

#include <fstream>

#include "tests/reward/reward_fixtures.h"

namespace dmoerm::metrics {
namespace {

using reward::Scorer;
using reward::TemporaryDirectory;
using testing::HasSubstr;

std::string pair_line(int i, const std::string& task) {
  const Json row = {
      {"id", std::to_string(i)},
      {"task", task},
      {"prompt", Json::array({{{"role", "user"}, {"content", fmt::format("question number {}", i)}}})},
      {"responses", {fmt::format("answer {}", i * 7 % 5), fmt::format("a longer answer {}", i * 3), "no"}},
      {"ranks", {1 + i % 2, 2 - i % 2, 2}}};
  return row.dump() + "\n";
}

struct EvaluationTest : testing::Test {
  EvaluationTest() {
    std::ofstream out(file);
    for (int i = 0; i < 20; ++i) out << pair_line(i, i % 3 == 0 ? "chat" : i % 3 == 1 ? "text" : "other");
    options.files = {file};
  }
  TemporaryDirectory directory;
  fs::path file = directory.path() / "data.jsonl";
  EvaluationOptions options;
};

TEST_F(EvaluationTest, CountsByTrueTaskAndByRouter) {
  Scorer scorer(reward::tiny_model());
  const auto result = evaluate(scorer, options);

  PairCount truth, routed, length;
  int64_t right = 0, known = 0;
  data::PreferenceReader reader({file});
  for (data::PreferenceRecord record; reader.next(record);) {
    const auto by_truth = scorer.score({&record, 1})[0];
    auto nameless = record;
    nameless.task.clear();
    const auto by_router = scorer.score({&nameless, 1})[0];
    for (const auto& [sum, rewards] : std::vector<std::pair<PairCount*, std::vector<double>>>{
             {&truth, by_truth.rewards}, {&routed, by_router.rewards}, {&length, {8, 15, 2}}}) {
      const auto one = count_pairs(rewards, record.ranks);
      sum->right += one.right;
      sum->pairs += one.pairs;
    }
    known += record.task != "other";
    right += record.task == by_router.task;
  }
  EXPECT_EQ(total(result.overall.accuracy).right, truth.right);
  EXPECT_EQ(total(result.overall.accuracy).pairs, truth.pairs);
  EXPECT_EQ(total(result.overall.routed).right, routed.right);
  EXPECT_EQ(total(result.overall.length).right, length.right);
  EXPECT_EQ(result.overall.router_records, known);
  EXPECT_EQ(result.overall.router_right, right);
  ASSERT_LT(right, known) << "some records are scored twice";
  EXPECT_EQ(result.encoded.sequences, 60) << "and counted once";
  ASSERT_EQ(result.tasks.size(), 3u);
  EXPECT_EQ(result.tasks[2].task, "other");
  EXPECT_EQ(result.tasks[0].records + result.tasks[1].records + result.tasks[2].records, 20);
}

TEST_F(EvaluationTest, ReportsAsTableAndJson) {
  Scorer scorer(reward::tiny_model());
  const auto result = evaluate(scorer, options);
  const auto json = result.to_json(0);
  EXPECT_EQ(json["overall"]["prompts"], 20);
  EXPECT_EQ(json["overall"]["accuracy"], total(result.overall.accuracy).accuracy());
  EXPECT_LE(json["overall"]["interval"][0].get<double>(), json["overall"]["accuracy"].get<double>());
  EXPECT_TRUE(json["overall"].contains("router_accuracy"));
  const auto table = result.to_table(0);
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 5);
  EXPECT_THAT(table, HasSubstr("length only %"));
}

TEST_F(EvaluationTest, OfAPlainClassifier) {
  const auto ids = directory.path() / "ids.jsonl";
  std::ofstream(ids)
      << "{\"prompt_ids\": [5, 6], \"response_ids\": [[7], [8, 9]], \"ranks\": [1, 2], \"task\": \"any\"}\n";
  auto scorer = Scorer::load(reward::fixture("llama-seq"));
  const auto result = evaluate(scorer, {{ids}, {}, 0});
  ASSERT_EQ(result.tasks.size(), 1u);
  EXPECT_EQ(result.tasks[0].task, "any");
  EXPECT_TRUE(result.overall.routed.empty());
  EXPECT_EQ(total(result.overall.length).right, 0);
}

TEST_F(EvaluationTest, BadInputIsAnError) {
  Scorer scorer(reward::tiny_model());
  const auto error_of_lines = [&](const std::string& lines) {
    std::ofstream(file, std::ios::trunc) << lines;
    return models::error_of([&] { evaluate(scorer, options); });
  };
  EXPECT_THAT(error_of_lines("{]\n"), HasSubstr("data.jsonl:1"));
  EXPECT_THAT(error_of_lines(""), HasSubstr("no pair"));
  EXPECT_THAT(error_of_lines("{\"prompt_ids\": [5], \"response_ids\": [[700], [8]], \"ranks\": [1, 2]}\n"),
              HasSubstr("token id 700"));
  EXPECT_THAT(error_of_lines("{\"prompt_ids\": [5], \"response_ids\": [[7], [8]]}\n"), HasSubstr("ranks"));
}

}  // namespace
}  // namespace dmoerm::metrics
