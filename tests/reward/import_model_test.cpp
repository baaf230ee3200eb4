// A model put together from parts: equal to the model that they came from, and every mistake named.
#include "dmoerm/reward/import_model.h"

#include <fstream>

#include "dmoerm/reward/export_model.h"
#include "tests/reward/reward_fixtures.h"

namespace dmoerm::reward {
namespace {

// A model on disk, its experts exported one by one, and the configuration that puts them together again.
class ImportTest : public testing::Test {
 protected:
  void prepare(RouterKind kind) {
    model_ = tiny_model(kind);
    model_.save(at("model"));
    for (const auto& inner : model_.tasks)
      for (size_t k = 0; k < inner.experts.size(); ++k)
        export_adapter(model_, at("model"), {inner.task, inner.experts[k].point},
                       at(fmt::format("{}{}", inner.task, k)));
    config_ = R"(
base = "${dir}/model/base"
tokenizer = "${dir}/model"
chat_format = "chatml"
max_tokens = 64
[router]
path = "${dir}/model/router"
kind = "KIND"
labels = ["text", "chat"]
[[task]]
name = "chat"
aliases = ["smalltalk"]
experts = [{point = "empathy", path = "${dir}/chat0"}, {point = "logic", path = "${dir}/chat1"},
           {point = "../depth of 知识", path = "${dir}/chat2"}]
aggregator = "${dir}/model/tasks/chat/aggregator.safetensors"
reward_mean = 0.25
reward_std = 0.5
[[task]]
name = "text"
experts = [{point = "logic", path = "${dir}/text0"}, {point = "style", path = "${dir}/text1"}]
sum = [0.5, -1.25]
)";
    replace("KIND", router_kind_name(kind));
  }
  fs::path at(const std::string& name) const { return directory_.path() / name; }
  void replace(const std::string& from, const std::string& to) {
    const size_t place = config_.find(from);
    ASSERT_NE(place, std::string::npos) << from;
    config_.replace(place, from.size(), to);
  }
  void import_to(const fs::path& out) const {
    std::ofstream(at("import.toml"), std::ios::trunc) << config_;
    import_model(load_import_config(at("import.toml"), {"vars.dir=" + directory_.path().string()}), out);
  }
  // The error of an import; nothing may be left behind.
  std::string error() {
    const auto error = error_of([&] { import_to(at("out")); });
    EXPECT_FALSE(fs::exists(at("out")));
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
    return error;
  }
  // The same with a changed configuration.
  std::string error_with(const std::string& from, const std::string& to) {
    const std::string whole = config_;
    replace(from, to);
    const auto message = error();
    config_ = whole;
    return message;
  }

  TemporaryDirectory directory_;
  DoubleLayerModel model_;
  std::string config_;
};

class ImportRoundTrip : public ImportTest, public testing::WithParamInterface<RouterKind> {};

TEST_P(ImportRoundTrip, GivesTheSameBits) {
  prepare(GetParam());
  import_to(at("again"));
  const auto again = DoubleLayerModel::load(at("again"));
  EXPECT_EQ(all_scores(again), all_scores(model_));
  EXPECT_EQ(again.kind, "double_layer");
  EXPECT_EQ(again.tasks[0].base, again.tasks[1].base);
  EXPECT_TRUE(changed_files(at("again")).empty());
  EXPECT_EQ(read_file(at("again/base/model.safetensors")), read_file(at("model/base/model.safetensors")));
  for (const auto& entry : fs::recursive_directory_iterator(at("again/tasks")))
    if (entry.path().filename() == "adapter_config.json") {
      const auto base = load_json(entry.path())["base_model_name_or_path"].get<std::string>();
      EXPECT_EQ(fs::weakly_canonical(entry.path().parent_path() / base),
                fs::weakly_canonical(at("again/base")));
    }
}

INSTANTIATE_TEST_SUITE_P(Routers, ImportRoundTrip,
                         testing::Values(RouterKind::Classifier, RouterKind::Adapter, RouterKind::Head),
                         [](const auto& info) { return router_kind_name(info.param); });

TEST_F(ImportTest, BasesOfTheirOwn) {
  prepare(RouterKind::Classifier);
  fs::copy(at("model/base"), at("other"));
  replace("sum =", "base = \"${dir}/other\"\nsum =");
  import_to(at("again"));
  EXPECT_TRUE(fs::exists(at("again/base/chat/config.json")));
  EXPECT_TRUE(fs::exists(at("again/base/text/config.json")));
  EXPECT_EQ(all_scores(DoubleLayerModel::load(at("again"))), all_scores(model_));
}

TEST_F(ImportTest, BasesOfOtherTokenizersAreRefused) {
  prepare(RouterKind::Classifier);
  fs::copy(at("model/base"), at("other"));
  model_.tokenizer->save(at("other"));
  replace("sum =", "base = \"${dir}/other\"\nsum =");
  import_to(at("again"));  // the same words
  std::string text = read_file(at("other/tokenizer.json"));
  Json tokenizer = Json::parse(text);
  auto& vocabulary = tokenizer["model"]["vocab"];
  std::swap(vocabulary["a"], vocabulary["b"]);
  std::ofstream(at("other/tokenizer.json"), std::ios::trunc) << tokenizer.dump();
  EXPECT_THAT(error(), AllOf(HasSubstr("other] its tokenizer is another than"), HasSubstr("is \"b\" here")));
}

TEST_F(ImportTest, KindFollowsFromTheParts) {
  prepare(RouterKind::Head);
  config_ =
      "base = \"${dir}/model/base\"\n[[task]]\nname = \"\"\nexperts = [{point = \"\", path = "
      "\"${dir}/chat0\"}]\n";
  import_to(at("single"));
  const auto single = DoubleLayerModel::load(at("single"));
  EXPECT_EQ(single.kind, "single");
  EXPECT_FALSE(single.tokenizer.has_value());
  EXPECT_EQ(single.chat_format, "template");
  config_ += "[[task]]\nname = \"b\"\nexperts = [{point = \"\", path = \"${dir}/chat1\"}]\n";
  import_to(at("per_task"));
  EXPECT_EQ(DoubleLayerModel::load(at("per_task")).kind, "per_task");
}

TEST_F(ImportTest, AHeadOfSeveralLabelsNeedsOne) {
  config_ = fmt::format("base = \"{}\"\n[[task]]\nname = \"a\"\nlabel = 2\n",
                        fixture("qwen2_labels3-seq").string());
  EXPECT_THAT(error_with("label = 2\n", ""), HasSubstr("3 labels, expected \"label\""));
  EXPECT_THAT(error_with("label = 2", "label = 3"), HasSubstr("label 3"));
  EXPECT_THAT(error_with("label = 2", "label = -2"), HasSubstr("from 0"));
  import_to(at("out"));
  ScorerOptions options;
  options.label = 2;
  const auto record = ids_record({5, 6}, {{7}, {8, 9}});
  const auto imported = Scorer::load(at("out")).score({&record, 1});
  const auto plain = Scorer::load(fixture("qwen2_labels3-seq"), options).score({&record, 1});
  EXPECT_EQ(imported[0].rewards, plain[0].rewards);
}

TEST_F(ImportTest, MistakesOfTheConfigurationAreNamed) {
  prepare(RouterKind::Head);
  EXPECT_THAT(error_with("max_tokens", "max_token"), HasSubstr("did you mean \"max_tokens\""));
  EXPECT_THAT(error_with("64", "0"), HasSubstr("at least 1"));
  EXPECT_THAT(error_with("\"chatml\"", "\"chat\""), HasSubstr("\"chat\" is not known"));
  EXPECT_THAT(error_with("base = \"${dir}/model/base\"\n", ""), HasSubstr("base is missing"));
  EXPECT_THAT(error_with("path = \"${dir}/chat1\"", "dir = \"\""), HasSubstr("experts[1].path is missing"));
  EXPECT_THAT(error_with("sum =", "aggregator = \"x\"\nsum ="), HasSubstr("either an aggregator or a sum"));
  EXPECT_THAT(error_with("[0.5, -1.25]", "[0.5]"), HasSubstr("1 weights, expected one for each of 2"));
  EXPECT_THAT(error_with("sum = [0.5, -1.25]", ""), HasSubstr("no aggregator"));
  EXPECT_THAT(error_with("sum = [0.5, -1.25]", "sum = [0.5, nan]"), HasSubstr("\"sum\" holds nan"));
  EXPECT_THAT(error_with("point = \"style\"", "point = \"logic\""),
              HasSubstr("two experts called \"logic\""));
  EXPECT_THAT(error_with("name = \"text\"", "name = \"smalltalk\""), HasSubstr("two tasks are called"));
  EXPECT_THAT(error_with("labels = [\"text\"", "labels = [\"poems\""), HasSubstr("\"poems\" is no task"));
  EXPECT_THAT(error_with("kind = \"head\"", "kind = \"heads\""), HasSubstr("classifier, adapter, head"));
  EXPECT_THAT(error_with("kind = \"head\"", "kind = \"adapter\""), HasSubstr("adapter_config.json"));
  EXPECT_THAT(error_with("0.5\n", "0\n"), HasSubstr("reward_std 0"));
  config_ = "base = \"x\"\n";
  EXPECT_THAT(error(), HasSubstr("no [[task]]"));
}

TEST_F(ImportTest, DamagedPartsAreNamedByTheirFiles) {
  prepare(RouterKind::Head);
  EXPECT_THAT(error_with("${dir}/chat1", "${dir}/nothing"), HasSubstr("nothing/adapter_config.json"));
  EXPECT_THAT(error_with("${dir}/chat1", "${dir}/model/tasks/chat/experts"), HasSubstr("several adapters"));
  EXPECT_THAT(error_with("${dir}/model/base", "${dir}/chat0"), HasSubstr("found an adapter"));
  EXPECT_THAT(error_with("tokenizer = \"${dir}/model\"", "tokenizer = \"${dir}/model/base\""),
              HasSubstr("no tokenizer.json"));
  // The fixture's base is wider than the experts.
  EXPECT_THAT(error_with("${dir}/model/base", fixture("llama-seq").string()),
              testing::AllOf(HasSubstr("chat0/adapter_model.safetensors"), HasSubstr("shape")));

  const auto damaged = [&](const fs::path& file, auto damage) {
    const std::string whole = read_file(file);
    damage(file);
    const auto message = error();
    std::ofstream(file, std::ios::trunc) << whole;
    return message;
  };
  const auto cut = [](const fs::path& file) { fs::resize_file(file, fs::file_size(file) / 2); };
  for (const char* name :
       {"chat0/adapter_model.safetensors", "chat1/adapter_config.json", "model/base/model.safetensors",
        "model/tasks/chat/aggregator.safetensors", "model/router/head.safetensors", "model/tokenizer.json"})
    EXPECT_THAT(damaged(at(name), cut), HasSubstr(at(name).string()));
  EXPECT_THAT(damaged(at("chat2/adapter_model.safetensors"),
                      [](const fs::path& file) {
                        models::edit_tensors(file, [](auto& t) { t.erase("base_model.model.score.weight"); });
                      }),
              HasSubstr("score.weight is missing"));
  EXPECT_THAT(damaged(at("model/tasks/chat/aggregator.safetensors"),
                      [](const fs::path& file) {
                        models::edit_tensors(file, [](auto& t) { t["fc1.weight"] = torch::ones({16, 32}); });
                      }),
              HasSubstr("shape [16, 32], expected [16, 48] for 3 experts of width 16"));
}

TEST_F(ImportTest, AnExistingDirectoryIsKept) {
  prepare(RouterKind::Head);
  EXPECT_THAT(error_of([&] { import_to(at("model")); }), HasSubstr("model exists already"));
  EXPECT_TRUE(changed_files(at("model")).empty());
}

}  // namespace
}  // namespace dmoerm::reward
