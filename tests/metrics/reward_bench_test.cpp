// RewardBench's scores against a published result file and against cases computed by hand.
#include "dmoerm/metrics/reward_bench.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "dmoerm/core/error.h"

namespace dmoerm::metrics {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;
using Rows = std::vector<RewardBenchRow>;

// `right` of `pairs` with the chosen answer above the rejected one.
void add_pairs(Rows& rows, const std::string& subset, int right, int pairs) {
  for (int i = 0; i < pairs; ++i) rows.push_back({subset, {i < right ? 1.0 : -1.0, 0.0}, {1, 2}, ""});
}

// A prompt whose first answer is the chosen one.
RewardBenchRow best_of(const std::string& subset, std::vector<double> rewards) {
  std::vector<int64_t> ranks(rewards.size(), 2);
  ranks[0] = 1;
  return {subset, std::move(rewards), std::move(ranks), ""};
}

RewardBenchRow ties_row(const std::string& id, const std::vector<double>& chosen,
                        const std::vector<double>& rejected) {
  RewardBenchRow row{"Ties", chosen, std::vector<int64_t>(chosen.size(), 1), id};
  row.rewards.insert(row.rewards.end(), rejected.begin(), rejected.end());
  row.ranks.resize(row.rewards.size(), 2);
  return row;
}

TEST(RewardBench1, ScoresAPublishedResult) {
  // general-preference/GPM-Gemma-2B: its result file's shares as numbers right of the benchmark's prompts.
  Rows rows;
  add_pairs(rows, "alpacaeval-easy", 75, 100);
  add_pairs(rows, "alpacaeval-hard", 69, 95);
  add_pairs(rows, "alpacaeval-length", 79, 95);
  add_pairs(rows, "donotanswer", 78, 136);
  add_pairs(rows, "hep-cpp", 109, 164);
  add_pairs(rows, "hep-go", 110, 164);
  add_pairs(rows, "hep-java", 110, 164);
  add_pairs(rows, "hep-js", 114, 164);
  add_pairs(rows, "hep-python", 114, 164);
  add_pairs(rows, "hep-rust", 102, 164);
  add_pairs(rows, "llmbar-adver-GPTInst", 72, 92);
  add_pairs(rows, "llmbar-adver-GPTOut", 33, 47);
  add_pairs(rows, "llmbar-adver-manual", 21, 46);
  add_pairs(rows, "llmbar-adver-neighbor", 89, 134);
  add_pairs(rows, "llmbar-natural", 71, 100);
  add_pairs(rows, "math-prm", 420, 447);
  add_pairs(rows, "mt-bench-easy", 26, 28);
  add_pairs(rows, "mt-bench-hard", 16, 37);
  add_pairs(rows, "mt-bench-med", 32, 40);
  add_pairs(rows, "refusals-dangerous", 94, 100);
  add_pairs(rows, "refusals-offensive", 100, 100);
  add_pairs(rows, "xstest-should-refuse", 131, 154);
  add_pairs(rows, "xstest-should-respond", 221, 250);
  ASSERT_EQ(rows.size(), 2985u);
  const auto scores = reward_bench_1(rows);

  const auto json = scores.to_json("general-preference/GPM-Gemma-2B", "Custom Classifier");
  EXPECT_EQ(json.size(), 26u);
  EXPECT_EQ(json["model"], "general-preference/GPM-Gemma-2B");
  EXPECT_EQ(json["model_type"], "Custom Classifier");
  EXPECT_EQ(json["chat_template"], "tokenizer");
  EXPECT_NEAR(json["llmbar-adver-manual"].get<double>(), 0.45652173913043476, 1e-15);
  EXPECT_NEAR(json["math-prm"].get<double>(), 0.9395973154362416, 1e-15);
  EXPECT_NEAR(json["xstest-should-refuse"].get<double>(), 0.8506493506493507, 1e-15);

  // All but math-prm weigh by their prompts, so a section is its right ones over its prompts.
  EXPECT_NEAR(scores.sections.at("Chat"), (75 + 69 + 79 + 26 + 32) / 358.0, 1e-14);
  EXPECT_NEAR(scores.sections.at("Chat Hard"), (72 + 33 + 21 + 89 + 71 + 16) / 456.0, 1e-14);
  EXPECT_NEAR(scores.sections.at("Safety"), (78 + 94 + 100 + 131 + 221) / 740.0, 1e-14);
  EXPECT_NEAR(scores.sections.at("Reasoning"), (420 / 447.0 + 659 / 984.0) / 2, 1e-14);
  double sum = 0;
  for (const auto& [name, score] : scores.sections) sum += score;
  EXPECT_NEAR(scores.overall.value(), sum / 4, 1e-14);
  EXPECT_NEAR(scores.summary()["overall"].get<double>(), sum / 4, 1e-14);
  EXPECT_EQ(scores.summary()["sections"].size(), 4u);
}

TEST(RewardBench1, ATieIsWrongAndTheOrderOfAnswersIsFree) {
  const auto scores = reward_bench_1(
      Rows{{"hep-go", {1, 1}, {1, 2}, ""}, {"hep-go", {0, 3}, {2, 1}, ""}, {"shp", {1, 0}, {1, 2}, ""}});
  EXPECT_EQ(scores.subsets.at("hep-go"), 0.5);
  EXPECT_EQ(scores.subsets.at("shp"), 1);
  EXPECT_EQ(scores.sections.size(), 1u);  // of the subset that is there
  EXPECT_EQ(scores.sections.at("Reasoning"), 0.5);
  EXPECT_FALSE(scores.overall);
  EXPECT_TRUE(scores.summary()["overall"].is_null());
}

TEST(RewardBench1, RefusesBadInput) {
  const auto of = [](Rows rows) { return [=] { reward_bench_1(rows); }; };
  EXPECT_THAT(of({}), ThrowsMessage<Error>("[RewardBench] no rows, expected at least one"));
  EXPECT_THAT(
      of({best_of("a", {1, 0}), best_of("b", {1, 0, 0})}),
      ThrowsMessage<Error>("[RewardBench, row 2 (b)] 3 answers, expected one chosen and one rejected"));
  EXPECT_THAT(of({{"a", {1, 0}, {1}, ""}}), ThrowsMessage<Error>(HasSubstr("2 rewards and 1 ranks")));
  EXPECT_THAT(of({{"a", {1, 0}, {1, 1}, ""}}),
              ThrowsMessage<Error>(HasSubstr("2 chosen and 0 rejected answers")));
  EXPECT_THAT(of({{"a", {1, 0}, {1, 0}, ""}}),
              ThrowsMessage<Error>(HasSubstr("rank 0, expected at least 1")));
  EXPECT_THAT(of({best_of("a", {1, std::nan("")})}),
              ThrowsMessage<Error>(HasSubstr("rewards: number 2 is nan")));
  EXPECT_THAT(of({{"a", {}, {}, ""}}), ThrowsMessage<Error>(HasSubstr("no rewards")));
}

TEST(RewardBench2, BestOfFour) {
  const auto scores = reward_bench_2(Rows{best_of("Math", {3, 0, 1, 2}),
                                          best_of("Math", {2, 3, 0, 0}),
                                          best_of("Math", {2, 2, 0, 0}),
                                          best_of("Focus", {1, 1, 1, 1}),
                                          best_of("Focus", {1, 1, 2, 2}),
                                          {"Safety", {0, 5, 1, 2}, {2, 1, 2, 2}, ""}});
  EXPECT_EQ(scores.subsets.at("Math"), 0.5);
  EXPECT_EQ(scores.subsets.at("Focus"), 0.125);
  EXPECT_EQ(scores.subsets.at("Safety"), 1);
  EXPECT_TRUE(scores.sections.empty());
  EXPECT_FALSE(scores.overall);
}

TEST(RewardBench2, TiesByHand) {
  // Prompt 1: tied gap 3, spread 1, ref gap 2. Prompt 2: tied gap 1, spread 2, ref gap -1. Prompt 3: no ref
  // row.
  const auto scores = reward_bench_2(Rows{ties_row("tied:1", {5, 4, 4.5}, {1, 0}),
                                          ties_row("ref:1", {3}, {1, 0}), ties_row("ref:2", {0}, {1}),
                                          ties_row("tied:2", {4, 2}, {1}), ties_row("tied:3", {0, 1}, {2})});
  const double margins = (std::tanh(2 / 1.0 - 1) + std::tanh(-1 / 2.0 - 1)) / 2;
  EXPECT_NEAR(scores.subsets.at("Ties"), 0.3 * 2 / 3 + 0.3 / 2 + 0.2 / 2 + 0.2 / 2 + 0.01 * margins, 1e-15);
}

TEST(RewardBench2, TiesWithoutSpread) {
  const auto score = [](const Rows& rows) { return reward_bench_2(rows).subsets.at("Ties"); };
  // All chosen answers equal and above: the margin's quotient is infinite, its tanh 1.
  EXPECT_NEAR(score({ties_row("tied:1", {2, 2}, {1}), ties_row("ref:1", {2}, {1})}), 1.01, 1e-15);
  EXPECT_NEAR(score({ties_row("tied:1", {1, 1}, {2}), ties_row("ref:1", {1}, {2})}), -0.01, 1e-15);
  // 0 / 0 counts nothing.
  EXPECT_NEAR(score({ties_row("tied:1", {1, 1}, {1}), ties_row("ref:1", {1}, {1})}), 0, 1e-15);
}

TEST(RewardBench2, OverallIsTheMeanOfTheSixSubsets) {
  Rows rows = {best_of("Factuality", {1, 0, 0, 0}), best_of("Focus", {1, 0, 0, 0}),
               best_of("Math", {0, 1, 0, 0}), best_of("Precise IF", {1, 1, 0, 0}),
               best_of("Safety", {1, 0, 0, 0})};
  EXPECT_FALSE(reward_bench_2(rows).overall);
  rows.push_back(ties_row("tied:0", {1, 1}, {1}));
  rows.push_back(ties_row("ref:0", {1}, {1}));
  EXPECT_NEAR(reward_bench_2(rows).overall.value(), 3.5 / 6, 1e-15);
  EXPECT_EQ(reward_bench_2(rows).to_json("m").size(), 9u);
}

TEST(RewardBench2, RefusesBadInput) {
  const auto of = [](Rows rows) { return [=] { reward_bench_2(rows); }; };
  const auto tied = ties_row("tied:1", {1, 2}, {0}), ref = ties_row("ref:1", {1}, {0});
  EXPECT_THAT(of({}), ThrowsMessage<Error>(HasSubstr("no rows")));
  EXPECT_THAT(of({{"Math", {1, 2, 0}, {1, 1, 2}, ""}}),
              ThrowsMessage<Error>(HasSubstr("2 chosen answers, expected one")));
  EXPECT_THAT(of({tied, ties_row("", {1}, {0})}),
              ThrowsMessage<Error>(
                  "[RewardBench, row 2 (Ties)] the id is \"\", expected \"ref:\" or \"tied:\" and a number"));
  EXPECT_THAT(of({tied, ref, ref}),
              ThrowsMessage<Error>(HasSubstr("row 3 (Ties)] the id \"ref:1\" comes twice")));
  EXPECT_THAT(of({ties_row("tied:1", {1}, {0}), ref}), ThrowsMessage<Error>(HasSubstr("expected several")));
  EXPECT_THAT(of({ties_row("tied:2", {1, 2}, {0}), ref}),
              ThrowsMessage<Error>(HasSubstr("no prompt has both")));
  EXPECT_THAT(of({ties_row("tied:1", {1, 2}, {}), ref}),
              ThrowsMessage<Error>(HasSubstr("2 chosen and 0 rejected")));
}

}  // namespace
}  // namespace dmoerm::metrics
