// Scorer and score_file: the same reward in any batch, order, routing, errors of single records, JSON lines.
#include "dmoerm/reward/scorer.h"

#include <algorithm>
#include <fstream>

#include "dmoerm/reward/score_file.h"
#include "tests/reward/reward_fixtures.h"

namespace dmoerm::reward {
namespace {

// OpenBLAS's kernels for Haswell and Zen sum in an order that depends on the number of rows: there a reward
// of these random weights, which are large, moves by up to 1.0001e-5 of its size; elsewhere by less.
constexpr double kBatchTolerance = 2e-5;

TEST(Scorer, RewardsDoNotDependOnTheBatch) {
  const auto records = mixed_records();
  Scorer whole(tiny_model());
  const auto expected = whole.score(records);
  for (const auto& [budget, share] :
       std::vector<std::pair<int64_t, bool>>{{1, true}, {50, true}, {8192, false}}) {
    ScorerOptions options;
    options.token_budget = budget;
    options.share_prefix = share;
    Scorer scorer(tiny_model(), options);
    const auto scores = scorer.score(records);
    for (size_t i = 0; i < records.size(); ++i)
      expect_near(scores[i].rewards, expected[i].rewards, kBatchTolerance);
  }
  Scorer alone(tiny_model());
  for (size_t i = 0; i < records.size(); ++i) {
    const auto score = alone.score({&records[i], 1})[0];
    expect_near(score.rewards, expected[i].rewards, kBatchTolerance);
    expect_near(score.task_probs, expected[i].task_probs, kBatchTolerance);
    EXPECT_EQ(score.task, expected[i].task);
  }
  auto reversed = records;
  std::reverse(reversed.begin(), reversed.end());
  const auto scores = alone.score(reversed);
  for (size_t i = 0; i < records.size(); ++i)
    expect_near(scores[records.size() - 1 - i].rewards, expected[i].rewards, kBatchTolerance);
}

TEST(Scorer, RewardsHardlyDependOnTheBatchInBfloat16) {
  std::vector<data::PreferenceRecord> records;
  for (int32_t i = 0; i < 16; ++i)
    records.push_back(ids_record({5, 6, 7 + i}, {{8, 9 + i, 10}, {11 + 2 * i}, {12, 13, 14, 15, 16 + i}}));
  ScorerOptions options;
  options.load.dtype = torch::kBFloat16;
  const auto together = Scorer::load(fixture("llama-seq"), options).score(records);
  options.token_budget = 1;
  const auto alone = Scorer::load(fixture("llama-seq"), options).score(records);
  double sum = 0, squares = 0, changes = 0;
  for (size_t i = 0; i < records.size(); ++i) {
    for (size_t a = 0; a < 3; ++a) {
      sum += together[i].rewards[a];
      squares += together[i].rewards[a] * together[i].rewards[a];
      changes += std::pow(together[i].rewards[a] - alone[i].rewards[a], 2);
    }
  }
  const double count = 3.0 * static_cast<double>(records.size());
  // The root mean square change, against the rewards' deviation; single rewards go up to 3e-2 of it.
  EXPECT_LE(std::sqrt(changes / count), 2e-2 * std::sqrt(squares / count - sum / count * sum / count));
}

TEST(Scorer, ChoosesTheInnerModel) {
  const auto records = mixed_records();
  Scorer scorer(tiny_model());
  const auto scores = scorer.score(records);
  EXPECT_EQ(scores[0].task, "chat");
  EXPECT_TRUE(scores[0].task_probs.empty());
  EXPECT_EQ(scores[3].task, "chat");  // by its alias
  EXPECT_EQ(scores[4].experts.size(), 2u);
  for (const size_t routed : {2, 5}) {
    ASSERT_EQ(scores[routed].task_probs.size(), 2u);
    EXPECT_NEAR(scores[routed].task_probs[0] + scores[routed].task_probs[1], 1, 1e-9);
    EXPECT_EQ(scores[routed].task,
              scores[routed].task_probs[0] >= scores[routed].task_probs[1] ? "text" : "chat");
    const std::string task = scores[routed].task;
    const auto same = scorer.score_as({&records[routed], 1}, {&task, 1})[0];
    expect_near(same.rewards, scores[routed].rewards, 1e-5);
  }
  EXPECT_EQ(scorer.counts().unknown_tasks, 1);
  EXPECT_EQ(scorer.counts().routed, 2);
}

// As in training: records of another task are those of "*", and only records that name none are routed.
TEST(Scorer, TheTaskOfEverythingElseTakesUnknownNames) {
  DoubleLayerModel model = tiny_model();
  model.tasks[1].task = "*";
  model.router->labels[0] = "*";
  Scorer scorer(model);
  auto record = mixed_records()[0];
  record.task = "poems";
  const auto score = scorer.score({&record, 1})[0];
  EXPECT_EQ(score.task, "*");
  EXPECT_TRUE(score.task_probs.empty());
  const std::string everything = "*";
  expect_near(scorer.score_as({&record, 1}, {&everything, 1})[0].rewards, score.rewards, 1e-6);
  record.task = "smalltalk";
  EXPECT_EQ(scorer.score({&record, 1})[0].task, "chat");
  record.task = "";
  EXPECT_FALSE(scorer.score({&record, 1})[0].task_probs.empty());
  EXPECT_EQ(scorer.counts().unknown_tasks, 0);
}

TEST(Scorer, RoutesTurnsHoweverTheyCome) {
  const auto model = tiny_model();
  Scorer scorer(model);
  auto messages = chat_record("what is the capital of France?", {"Paris"});
  const std::string rendered = text::ChatFormat::named("chatml").render(messages.messages, true);
  data::PreferenceRecord raw;
  raw.is_text = true;
  raw.prompt_text = rendered;
  raw.responses = {{{"assistant", "Paris"}}};
  const auto ids = ids_record(model.tokenizer->encode(rendered), {{5}});
  const auto other = chat_record("write a poem", {"Paris"});
  const std::vector<data::PreferenceRecord> records = {messages, raw, ids, other};
  const auto probabilities = scorer.route(records);
  expect_near(probabilities[1], probabilities[0], 1e-6);
  expect_near(probabilities[2], probabilities[0], 1e-6);
  EXPECT_GT(std::abs(probabilities[3][0] - probabilities[0][0]), 1e-4);
}

TEST(Scorer, RawAndNormalisedRewards) {
  const std::vector<data::PreferenceRecord> records = {mixed_records()[0]};
  ScorerOptions options;
  options.raw = true;
  Scorer raw(tiny_model(), options), normalised(tiny_model());
  const auto expected = raw.score(records)[0];
  const auto scores = normalised.score(records)[0];
  for (size_t i = 0; i < 3; ++i) EXPECT_DOUBLE_EQ(scores.rewards[i], (expected.rewards[i] - 0.25) / 0.5);
  EXPECT_EQ(scores.experts, expected.experts);
}

TEST(Scorer, PlainClassifierEqualsTransformersOnIds) {
  for (const std::string name : {"llama-seq", "qwen2-seq"}) {
    const SafeTensors expected(fixture(name) / "expected.safetensors");
    auto scorer = Scorer::load(fixture(name));
    std::vector<data::PreferenceRecord> records;
    for (int i = 0; i < 4; ++i) {
      const auto ids = models::ids_of(expected.tensor(fmt::format("ids.{}", i)));
      records.push_back(ids_record({ids.begin(), ids.begin() + i}, {{ids.begin() + i, ids.end()}}));
    }
    const auto scores = scorer.score(records);
    for (int i = 0; i < 4; ++i) {
      const double logit = expected.tensor(fmt::format("logits.{}", i)).item<double>();
      EXPECT_NEAR(scores[i].rewards[0], logit, 1e-4 * std::max(1.0, std::abs(logit)));
    }
  }
}

TEST(Scorer, AdapterOverAClassifier) {
  const SafeTensors expected(fixture("llama-experts") / "expected.safetensors");
  ScorerOptions options;
  options.adapter = fixture("llama-experts") / "expert1";
  auto scorer = Scorer::load(fixture("llama-seq"), options);
  const auto record = ids_record(
      models::ids_of(expected.tensor("prompt.0")),
      {models::ids_of(expected.tensor("answer.0.0")), models::ids_of(expected.tensor("answer.0.2"))});
  const auto score = scorer.score({&record, 1})[0];
  EXPECT_NEAR(score.rewards[0], expected.tensor("expert_score.0.0.1").item<double>(), 1e-4);
  EXPECT_NEAR(score.rewards[1], expected.tensor("expert_score.0.2.1").item<double>(), 1e-4);
}

TEST(Scorer, PoolsAsTransformersWhenAsked) {
  DoubleLayerModel model;
  model.kind = "single";
  InnerModel inner;
  inner.base = std::make_shared<BaseModel>(BaseModel{".", tiny_checkpoint(1)});
  model.tasks = {inner};
  ScorerOptions options;
  options.pool_transformers = true;
  Scorer ours(model), theirs(model, options);
  const std::vector<data::PreferenceRecord> records = {ids_record({5}, {{6, 0, 0}, {6}, {0, 7}}),
                                                       ids_record({}, {{0, 0}, {0}})};
  const auto a = ours.score(records), b = theirs.score(records);
  EXPECT_NE(a[0].rewards[0], b[0].rewards[0]);
  EXPECT_NEAR(b[0].rewards[0], a[0].rewards[1], 1e-5);  // padding at the end is passed over
  EXPECT_NEAR(b[0].rewards[2], a[0].rewards[2], 1e-5);
  EXPECT_NEAR(b[1].rewards[0], a[1].rewards[1], 1e-5);
}

TEST(Scorer, ARecordThatCannotBeScoredHarmsNoOther) {
  auto model = tiny_model();
  model.tokenizer.reset();
  Scorer scorer(model);
  const std::vector<data::PreferenceRecord> records = {chat_record("no tokenizer", {"a"}, "chat"),
                                                       ids_record({1, 2}, {{3}}, "chat"),
                                                       ids_record({1}, {{640}}, "chat"),
                                                       ids_record({-1}, {{3}}, "chat"),
                                                       ids_record({}, {{}}, "chat"),
                                                       chat_record("to be routed", {"a"}),
                                                       ids_record({1}, {}, "chat"),
                                                       ids_record({999}, {{3}})};
  const auto scores = scorer.score(records);
  EXPECT_THAT(scores[0].error, HasSubstr("tokenizer"));
  EXPECT_EQ(scores[1].error, "");
  EXPECT_THAT(scores[2].error, HasSubstr("token id 640"));
  EXPECT_THAT(scores[3].error, HasSubstr("token id -1"));
  EXPECT_THAT(scores[4].error, HasSubstr("without any token"));
  EXPECT_THAT(scores[5].error, HasSubstr("tokenizer"));
  EXPECT_THAT(scores[7].error, HasSubstr("token id 999"));
  EXPECT_EQ(scores[6].error, "");
  EXPECT_TRUE(scores[6].rewards.empty());
  const auto expected = Scorer(tiny_model()).score({&records[1], 1});
  expect_near(scores[1].rewards, expected[0].rewards, 1e-5);
}

TEST(Scorer, WithoutARouterATaskIsNeeded) {
  auto model = tiny_model();
  model.router.reset();
  Scorer scorer(model);
  const auto scores = scorer.score(mixed_records());
  EXPECT_EQ(scores[0].error, "");
  EXPECT_THAT(scores[2].error, HasSubstr("names no task"));
  EXPECT_THAT(scores[5].error, HasSubstr("\"unheard of\" is no task"));
  EXPECT_THAT(error_of([&] { scorer.route(mixed_records()); }), HasSubstr("no router"));
}

TEST(Scorer, NeverGivesANumberThatIsNotFinite) {
  auto model = tiny_model();
  model.tasks[1].experts[0].adapter.score_weight[0][0] = NAN;
  Scorer scorer(model);
  const auto scores = scorer.score(mixed_records());
  EXPECT_EQ(scores[0].error, "");
  EXPECT_THAT(scores[1].error, HasSubstr("not finite"));
}

// Runs score_file over lines; the lines that come out as JSON.
std::vector<Json> score_lines(Scorer& scorer, const std::string& lines, ScoreFileResult* result = nullptr) {
  const TemporaryDirectory directory;
  const auto file = directory.path() / "in.jsonl";
  std::ofstream(file) << lines;
  std::vector<Json> out;
  const auto counts = score_file(scorer, file, [&](std::string_view line) {
    EXPECT_EQ(line.back(), '\n');
    out.push_back(Json::parse(line));
  });
  if (result) *result = counts;
  return out;
}

TEST(ScoreFile, OneLineForEachLineInOrder) {
  Scorer scorer(tiny_model());
  ScoreFileResult result;
  const auto lines = score_lines(
      scorer,
      "{\"id\": \"a\", \"task\": \"chat\", \"prompt\": [{\"role\": \"user\", \"content\": \"hello there\"}], "
      "\"responses\": [\"hi\", \"hello, how are you today?\", \"no\"]}\n"
      "not json\n"
      "{\"id\": \"c\", \"prompt\": 5, \"responses\": [\"x\"]}\n"
      "\n"
      "{\"id\": \"d\", \"prompt_ids\": [5, 6], \"response_ids\": [[7], [999]]}\n"
      "{\"id\": \"e\", \"prompt_ids\": [5, 6], \"response_ids\": [[7], [8]]}",
      &result);
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(result.lines, 5);
  EXPECT_EQ(result.bad, 3);
  EXPECT_EQ(lines[0]["id"], "a");
  EXPECT_TRUE(lines[0]["task_probs"].is_null());
  const auto records = mixed_records();
  const auto expected = scorer.score({&records[0], 1})[0];
  expect_near(lines[0]["rewards"].get<std::vector<double>>(), expected.rewards, 1e-5);
  EXPECT_EQ(lines[0]["experts"].size(), 3u);
  expect_near(lines[0]["experts"]["../depth of 知识"].get<std::vector<double>>(), expected.experts[2], 1e-5);
  EXPECT_TRUE(lines[1]["id"].is_null());
  EXPECT_THAT(lines[1]["error"].get<std::string>(), HasSubstr("in.jsonl:2:"));
  EXPECT_EQ(lines[2]["id"], "c");
  EXPECT_THAT(lines[2]["error"].get<std::string>(), HasSubstr("\"prompt\""));
  EXPECT_THAT(lines[3]["error"].get<std::string>(), HasSubstr("token id 999"));
  EXPECT_EQ(lines[4]["task_probs"].size(), 2u);
  EXPECT_EQ(lines[4]["rewards"].size(), 2u);
}

TEST(ScoreFile, ALineOfAnyDepthHarmsNoOther) {
  Scorer scorer(tiny_model());
  const std::string deep = "{\"id\": " + std::string(200000, '[') + std::string(200000, ']') + "}";
  const auto lines =
      score_lines(scorer, deep + "\n{\"id\": 7, \"prompt\": 5}\n{\"id\": 8, \"prompt_ids\": [5], " +
                              "\"response_ids\": [[7]]}\n");
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_TRUE(lines[0]["id"].is_null());
  EXPECT_EQ(lines[1]["id"], "7");  // as the id of a record
  EXPECT_EQ(lines[2]["id"], "8");
  EXPECT_EQ(lines[2]["rewards"].size(), 1u);
}

TEST(ScoreFile, NumbersRoundTripAndAClassifierHasNoExperts) {
  auto scorer = Scorer::load(fixture("llama-seq"));
  const auto lines =
      score_lines(scorer, "{\"id\": \"x\", \"prompt_ids\": [5, 6], \"response_ids\": [[7], [8, 9]]}\n");
  const auto record = ids_record({5, 6}, {{7}, {8, 9}});
  EXPECT_EQ(lines[0]["rewards"].get<std::vector<double>>(), scorer.score({&record, 1})[0].rewards);
  EXPECT_FALSE(lines[0].contains("experts"));
  EXPECT_TRUE(lines[0]["task"].is_null());
  EXPECT_TRUE(score_lines(scorer, "").empty());
}

TEST(ScoreFile, KeepsTheOrderOverManyWindows) {
  auto scorer = Scorer::load(fixture("llama-seq"));
  std::string input;
  for (int i = 0; i < 5000; ++i)
    input += fmt::format("{{\"id\": \"{}\", \"prompt_ids\": [{}], \"response_ids\": [[{}]]}}\n", i, i % 150,
                         i % 7);
  const auto lines = score_lines(scorer, input);
  ASSERT_EQ(lines.size(), 5000u);
  for (int i = 0; i < 5000; ++i) EXPECT_EQ(lines[i]["id"], std::to_string(i));
  const auto record = ids_record({4999 % 150}, {{4999 % 7}});
  expect_near(lines[4999]["rewards"].get<std::vector<double>>(), scorer.score({&record, 1})[0].rewards, 1e-5);
}

}  // namespace
}  // namespace dmoerm::reward
