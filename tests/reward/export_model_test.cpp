// What is taken out of a model scores as it did inside, in other tools' formats.
#include "dmoerm/reward/export_model.h"

#include <fstream>

#include "dmoerm/text/chat_format.h"
#include "dmoerm/text/tokenizer_settings.h"
#include "tests/reward/reward_fixtures.h"

namespace dmoerm::reward {
namespace {

constexpr const char* kStrangePoint = "../depth of 知识";

// Raw scores of all experts of a task in one model, or the rewards in another.
std::vector<RecordScore> scores_of(const fs::path& model, const std::string& task,
                                   const fs::path& adapter = {}) {
  ScorerOptions options;
  options.adapter = adapter;
  options.raw = true;
  Scorer scorer = Scorer::load(model, options);
  std::vector<data::PreferenceRecord> records = {ids_record({5, 6, 7}, {{8, 9}, {10}, {11, 12, 13}}, task),
                                                 ids_record({}, {{300, 2}, {44}}, task)};
  auto scores = scorer.score(records);
  for (const auto& score : scores) EXPECT_EQ(score.error, "");
  return scores;
}

// The rewards of `part` are expert k's scores in `whole`, within `tolerance` of the largest.
void expect_expert(const std::vector<RecordScore>& part, const std::vector<RecordScore>& whole, size_t k,
                   double tolerance) {
  ASSERT_EQ(part.size(), whole.size());
  double largest = 0;
  for (const auto& score : whole)
    for (const double x : score.experts[k]) largest = std::max(largest, std::abs(x));
  for (size_t i = 0; i < part.size(); ++i)
    for (size_t r = 0; r < part[i].rewards.size(); ++r)
      EXPECT_NEAR(part[i].rewards[r], whole[i].experts[k][r], tolerance * largest);
}

class ExportTest : public testing::Test {
 protected:
  void SetUp() override {
    tiny_model().save(directory_.path() / "model");
    model_ = DoubleLayerModel::load(directory_.path() / "model");
  }
  fs::path at(const std::string& name) const { return directory_.path() / name; }
  std::string adapter_error(const ExpertChoice& choice) {
    return error_of([&] { export_adapter(model_, at("model"), choice, at("out")); });
  }

  TemporaryDirectory directory_;
  DoubleLayerModel model_;
};

TEST_F(ExportTest, AdapterScoresAsTheExpertDid) {
  const auto whole = scores_of(at("model"), "chat");
  size_t k = 0;
  for (const auto& point : {"empathy", "logic", kStrangePoint}) {
    const fs::path out = at(fmt::format("adapter{}", k));
    export_adapter(model_, at("model"), {"smalltalk", point}, out);  // the task by its alias
    const Json config = load_json(out / "adapter_config.json");
    EXPECT_EQ(config["base_model_name_or_path"], fs::canonical(at("model/base")).string());
    EXPECT_EQ(config["modules_to_save"], Json::array({"score"}));
    EXPECT_TRUE(fs::exists(out / "tokenizer.json"));
    expect_expert(scores_of(at("model/base"), "", out), whole, k++, 1e-6);
  }
}

TEST_F(ExportTest, ClassifierScoresAsTheExpertDid) {
  const auto whole = scores_of(at("model"), "text");
  export_classifier(model_, {"text", "style"}, at("style"));
  expect_expert(scores_of(at("style"), ""), whole, 1, 1e-5);

  const Json config = load_json(at("style/config.json"));
  EXPECT_EQ(config["architectures"], Json::array({"LlamaForSequenceClassification"}));
  EXPECT_EQ(config["id2label"].size(), 1u);
  const auto tokenizer = text::Tokenizer::load(at("style"));
  EXPECT_EQ(tokenizer.pad_id(), config["pad_token_id"].get<int32_t>());
  EXPECT_NE(tokenizer.pad_id(), tokenizer.eos_id());
  EXPECT_THAT(text::ChatFormat::find(text::ChatFormat::kTemplate, &tokenizer)->description(),
              HasSubstr("chatml"));
  EXPECT_EQ(load_classifier(at("style"), {}).max_tokens, model_.max_tokens);
  EXPECT_TRUE(torch::equal(model_.tasks[1].decoder().weights().at("layers.0.self_attn.q_proj.weight"),
                           tiny_checkpoint(1).decoder->weights().at("layers.0.self_attn.q_proj.weight")));
}

// transformers cannot embed an id that the vocabulary does not hold.
TEST_F(ExportTest, PaddingLiesInTheVocabulary) {
  Json tokenizer = load_json(at("model/tokenizer.json"));
  const int64_t size = tiny_checkpoint(1).decoder->config().vocab_size;
  tokenizer["added_tokens"].push_back({{"id", size},
                                       {"content", "<|vision_pad|>"},
                                       {"single_word", false},
                                       {"lstrip", false},
                                       {"rstrip", false},
                                       {"normalized", false},
                                       {"special", true}});
  const auto with_pad = [&](const std::string& pad) {
    fs::create_directories(at("tokenizer"));
    std::ofstream(at("tokenizer/tokenizer.json"), std::ios::trunc) << tokenizer.dump();
    std::ofstream(at("tokenizer/tokenizer_config.json"), std::ios::trunc)
        << Json{{"pad_token", pad}, {"eos_token", tokenizer["added_tokens"][0]["content"]}}.dump();
    return text::Tokenizer::load(at("tokenizer"));
  };
  const text::Tokenizer outside = with_pad("<|vision_pad|>");
  EXPECT_EQ(text::choose_padding(outside, size + 1, {}), size);
  EXPECT_NE(text::choose_padding(outside, size, {}), size);
  // None is left: nothing is written for it.
  std::set<int32_t> all;
  for (int32_t id = 0; id <= size; ++id) all.insert(id);
  EXPECT_EQ(text::choose_padding(outside, size, all), std::nullopt);
}

// The reference is what PEFT computed for each expert.
TEST(ExportClassifier, AgreesWithPeft) {
  for (const char* name : {"llama-experts", "qwen2-experts", "llama-experts-mixed"}) {
    DoubleLayerModel model;
    model.tasks = {fixture_inner_model(name, "task")};
    const SafeTensors expected(fixture(name) / "expected.safetensors");
    for (size_t k = 0; k < model.tasks[0].experts.size(); ++k) {
      const TemporaryDirectory directory;
      export_classifier(model, {"", model.tasks[0].experts[k].point}, directory.path() / "out");
      const auto ids = [&](const std::string& tensor) { return models::ids_of(expected.tensor(tensor)); };
      Scorer scorer = Scorer::load(directory.path() / "out");
      const std::vector<data::PreferenceRecord> records = {ids_record(ids("prompt.0"), {ids("answer.0.0")})};
      const double score =
          expected.tensor(fmt::format("expert_score.0.0.{}", k)).to(torch::kDouble).item<double>();
      EXPECT_NEAR(scorer.score(records).front().rewards.front(), score, 1e-5 * std::max(1.0, std::abs(score)))
          << name << " " << k;
    }
  }
}

TEST_F(ExportTest, TaskScoresAsItDidBitForBit) {
  for (const char* task : {"chat", "text"}) {
    const auto whole = scores_of(at("model"), task);
    export_task(model_, task, at(task));
    const auto part = DoubleLayerModel::load(at(task));
    EXPECT_EQ(part.tasks.size(), 1u);
    EXPECT_FALSE(part.router.has_value());
    EXPECT_EQ(part.tasks[0].reward_mean, model_.find(task)->reward_mean);
    EXPECT_TRUE(changed_files(at(task)).empty());
    const auto scores = scores_of(at(task), "");
    for (size_t i = 0; i < whole.size(); ++i) {
      EXPECT_EQ(scores[i].rewards, whole[i].rewards);
      EXPECT_EQ(scores[i].experts, whole[i].experts);
    }
  }
}

TEST_F(ExportTest, ATaskWithoutExpertsIsItsBase) {
  DoubleLayerModel model;
  model.kind = "single";
  InnerModel inner;
  inner.base = model_.tasks[0].base;
  model.tasks = {inner};
  export_classifier(model, {}, at("plain"));
  EXPECT_TRUE(torch::equal(models::load_checkpoint(at("plain")).score_weight, inner.heads()));
  EXPECT_THAT(error_of([&] { export_adapter(model, at("model"), {}, at("out")); }),
              HasSubstr("has no experts"));
  export_task(model, "", at("single"));
  EXPECT_EQ(DoubleLayerModel::load(at("single")).kind, "single");
}

TEST_F(ExportTest, MisuseIsNamed) {
  EXPECT_THAT(adapter_error({"", "logic"}), HasSubstr("several tasks, choose one of: chat, text"));
  EXPECT_THAT(adapter_error({"poems", "logic"}), HasSubstr("no task \"poems\", expected one of: chat, text"));
  EXPECT_THAT(adapter_error({"text", ""}), HasSubstr("several experts, choose one of: logic, style"));
  EXPECT_THAT(adapter_error({"text", "wit"}), HasSubstr("no expert \"wit\", expected one of: logic, style"));
  fs::create_directories(at("out"));
  std::ofstream(at("out/mine")) << "kept";
  EXPECT_THAT(adapter_error({"text", "style"}), HasSubstr("out exists already"));
  EXPECT_THAT(error_of([&] {
                export_classifier(model_, {"text", "style"}, at("out"));
              }),
              HasSubstr("out exists already"));
  EXPECT_THAT(error_of([&] { export_task(model_, "text", at("out")); }), HasSubstr("out exists already"));
  EXPECT_EQ(read_file(at("out/mine")), "kept");
}

}  // namespace
}  // namespace dmoerm::reward
