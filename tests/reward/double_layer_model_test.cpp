// The model's directory: saved and loaded identical in every form, and whatever file is damaged is noticed.
#include <fstream>
#include <set>

#include "tests/reward/reward_fixtures.h"

namespace dmoerm::reward {
namespace {

std::vector<fs::path> files_below(const fs::path& directory) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(directory))
    if (entry.is_regular_file()) files.push_back(entry.path());
  return files;
}

class Routers : public testing::TestWithParam<RouterKind> {};

TEST_P(Routers, SavedAndLoadedScoresIdentically) {
  const TemporaryDirectory directory;
  const auto model = tiny_model(GetParam());
  const auto expected = all_scores(model);
  for (int round = 0; round < 2; ++round) {  // the second one replaces a model
    model.save(directory.path() / "model");
    const auto loaded = DoubleLayerModel::load(directory.path() / "model");
    EXPECT_EQ(all_scores(loaded), expected);
    EXPECT_EQ(loaded.router->kind, GetParam());
    EXPECT_TRUE(changed_files(directory.path() / "model").empty());
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(directory.path()), fs::directory_iterator()), 1);
}

INSTANTIATE_TEST_SUITE_P(Kinds, Routers,
                         testing::Values(RouterKind::Classifier, RouterKind::Adapter, RouterKind::Head),
                         [](const auto& info) { return router_kind_name(info.param); });

TEST(DoubleLayerModel, HeadsAreSavedWithTheirExperts) {
  const TemporaryDirectory directory;
  const auto model = tiny_model();
  model.save(directory.path() / "model");
  const auto loaded = DoubleLayerModel::load(directory.path() / "model");
  ASSERT_EQ(loaded.tasks.size(), 2u);
  for (size_t t = 0; t < 2; ++t) {
    EXPECT_TRUE(torch::equal(loaded.tasks[t].heads(), model.tasks[t].heads()));
    for (size_t k = 0; k < model.tasks[t].experts.size(); ++k)
      EXPECT_EQ(loaded.tasks[t].experts[k].point, model.tasks[t].experts[k].point);
  }
  EXPECT_EQ(loaded.tasks[0].base, loaded.tasks[1].base);  // one base in memory
  EXPECT_EQ(loaded.find("smalltalk"), &loaded.tasks[0]);
  EXPECT_EQ(loaded.find("unheard of"), nullptr);
}

TEST(DoubleLayerModel, AnExpertLoadsAloneOverItsBase) {
  const TemporaryDirectory directory;
  tiny_model().save(directory.path());
  const auto base = models::load_checkpoint(directory.path() / "base");
  const auto path = directory.path() / "tasks/chat/experts/logic";
  const auto adapter = models::load_adapter(path, *base.decoder);
  EXPECT_EQ(fs::weakly_canonical(path / adapter.base_model), fs::weakly_canonical(directory.path() / "base"));
}

TEST(DoubleLayerModel, ATruncatedFileIsRefusedWhicheverItIs) {
  const TemporaryDirectory directory;
  tiny_model(RouterKind::Classifier).save(directory.path() / "model");
  for (const auto& file : files_below(directory.path() / "model")) {
    const auto whole = read_file(file);
    for (const size_t size : {size_t{0}, whole.size() / 2}) {
      std::ofstream(file, std::ios::trunc) << whole.substr(0, size);
      const auto error = error_of([&] { DoubleLayerModel::load(directory.path() / "model"); });
      EXPECT_NE(error, "no error") << file << " cut to " << size;
      EXPECT_EQ(error.find('\n'), std::string::npos) << error;
      EXPECT_THAT(error, HasSubstr(file.filename().string()));
    }
    std::ofstream(file, std::ios::trunc) << whole;
  }
  DoubleLayerModel::load(directory.path() / "model");
}

TEST(DoubleLayerModel, AMissingFileIsRefusedWhicheverItIs) {
  const TemporaryDirectory directory;
  tiny_model(RouterKind::Adapter).save(directory.path() / "model");
  for (const auto& file : files_below(directory.path() / "model")) {
    fs::rename(file, directory.path() / "aside");
    const auto error = error_of([&] { DoubleLayerModel::load(directory.path() / "model"); });
    EXPECT_THAT(error, HasSubstr(file.filename().string()));
    fs::rename(directory.path() / "aside", file);
  }
}

TEST(DoubleLayerModel, AFlippedByteIsFoundAndNamed) {
  const TemporaryDirectory directory;
  const auto model = directory.path() / "model";
  tiny_model().save(model);
  for (const auto& file : files_below(model)) {
    if (file.filename() == "dmoerm.json") continue;
    const auto whole = read_file(file);
    auto flipped = whole;
    flipped[whole.size() * 3 / 4] ^= 0x10;
    std::ofstream(file, std::ios::trunc) << flipped;
    EXPECT_THAT(changed_files(model),
                testing::ElementsAre(file.lexically_relative(model).string() + ": its digest differs"));
    std::ofstream(file, std::ios::trunc) << whole;
  }
  fs::remove(model / "tokenizer.json");
  EXPECT_THAT(changed_files(model), testing::ElementsAre("tokenizer.json: missing"));
}

TEST(DoubleLayerModel, ManifestMistakesAreNamed) {
  const TemporaryDirectory directory;
  tiny_model().save(directory.path() / "model");
  const auto manifest = directory.path() / "model" / "dmoerm.json";
  const auto whole = read_file(manifest);
  const auto broken = [&](auto change) {
    std::ofstream(manifest, std::ios::trunc) << whole;
    models::edit_json(manifest, change);
    return error_of([&] { DoubleLayerModel::load(directory.path() / "model"); });
  };
  EXPECT_THAT(broken([](Json& j) { j["format"] = 2; }), HasSubstr("\"format\" is 2"));
  EXPECT_THAT(broken([](Json& j) { j["kind"] = "triple"; }), HasSubstr("\"triple\""));
  EXPECT_THAT(broken([](Json& j) { j["chat_format"] = "nochat"; }), HasSubstr("nochat"));
  EXPECT_THAT(broken([](Json& j) { j["max_tokens"] = "many"; }), HasSubstr("\"max_tokens\" is a string"));
  EXPECT_THAT(broken([](Json& j) { j["tasks"][0]["experst"] = 1; }), HasSubstr("did you mean \"experts\""));
  EXPECT_THAT(broken([](Json& j) { j["tasks"][0]["experts"].erase(1); }), HasSubstr("fc1.weight"));
  EXPECT_THAT(broken([](Json& j) { j["tasks"][0]["aggregator"] = nullptr; }), HasSubstr("no aggregator"));
  EXPECT_THAT(broken([](Json& j) { j["tasks"][1]["aggregator"]["sum"] = {1}; }),
              HasSubstr("\"sum\" has 1 weights"));
  EXPECT_THAT(broken([](Json& j) { j["tasks"][1]["name"] = "smalltalk"; }), HasSubstr("\"smalltalk\""));
  EXPECT_THAT(broken([](Json& j) { j["tasks"] = Json::array(); }), HasSubstr("\"tasks\" holds no task"));
  EXPECT_THAT(broken([](Json& j) { j["router"]["top"] = 3; }), HasSubstr("\"top\" is 3"));
  EXPECT_THAT(broken([](Json& j) { j["router"]["labels"] = {"text"}; }), HasSubstr("2 outputs"));
  EXPECT_THAT(broken([](Json& j) { j["router"]["labels"] = {"text", "poems"}; }), HasSubstr("\"poems\""));
  EXPECT_THAT(broken([](Json& j) { j["tasks"][0]["experts"][0]["path"] = "elsewhere"; }),
              HasSubstr("elsewhere"));
}

// Tasks that differ by the row of one base's head alone.
TEST(DoubleLayerModel, RowsOfTheBasesHeadAreKept) {
  const TemporaryDirectory directory;
  const auto base = std::make_shared<BaseModel>(BaseModel{"base", tiny_checkpoint(1, 3)});
  DoubleLayerModel model = tiny_model();
  model.kind = "per_task";
  model.router.reset();
  for (size_t task = 0; task < 2; ++task) {
    InnerModel inner;
    inner.task = model.tasks[task].task;
    inner.base = base;
    inner.label = static_cast<int64_t>(task) + 1;
    model.tasks[task] = inner;
  }
  model.save(directory.path() / "model");
  const std::vector<data::PreferenceRecord> records = {chat_record("Hi", {"Hello!", "No."}, "chat"),
                                                       chat_record("Hi", {"Hello!", "No."}, "text")};
  Scorer loaded(DoubleLayerModel::load(directory.path() / "model")), original(model);
  const auto scores = loaded.score(records), expected = original.score(records);
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(scores[i].rewards, expected[i].rewards);
  EXPECT_NE(scores[0].rewards, scores[1].rewards);
  models::edit_json(directory.path() / "model" / "dmoerm.json", [](Json& j) { j["tasks"][0]["label"] = 3; });
  EXPECT_THAT(error_of([&] { DoubleLayerModel::load(directory.path() / "model"); }),
              HasSubstr("label 3 of the base's head was asked for, found 3 labels"));
}

TEST(DoubleLayerModel, KindsAskForTheirParts) {
  auto model = tiny_model();
  model.kind = "per_task";
  EXPECT_THAT(error_of([&] { model.check(); }), HasSubstr("kind \"per_task\""));
  for (auto& inner : model.tasks) {
    inner.experts.resize(1);
    inner.aggregator.reset();
    inner.sum_weights.clear();
  }
  model.check();
  model.kind = "single";
  EXPECT_THAT(error_of([&] { model.check(); }), HasSubstr("one task and no router"));
  model.tasks.resize(1);
  model.router.reset();
  model.check();
}

TEST(DoubleLayerModel, ASingleModelIsAlsoAClassifierDirectory) {
  const TemporaryDirectory directory;
  DoubleLayerModel model;
  model.kind = "single";
  model.chat_format = "plain";
  model.max_tokens = 32;
  model.tokenizer = text::Tokenizer::load(fixture("tokenizer-byte_level"));
  InnerModel inner;
  inner.base = std::make_shared<BaseModel>(BaseModel{".", tiny_checkpoint(1)});
  inner.reward_mean = 1;
  model.tasks = {inner};
  const auto expected = all_scores(model);
  model.save(directory.path() / "model");
  const auto loaded = DoubleLayerModel::load(directory.path() / "model");
  EXPECT_EQ(all_scores(loaded), expected);
  EXPECT_EQ(models::load_checkpoint(directory.path() / "model").head, models::HeadKind::Score);
}

TEST(DoubleLayerModel, PretrainedWeightsAreLoaded) {
  const TemporaryDirectory directory;
  auto model = tiny_model();
  model.save(directory.path() / "model");
  const auto loaded = DoubleLayerModel::load(directory.path() / "model");
  for (const auto& [name, weight] : model.tasks[0].decoder().weights())
    EXPECT_TRUE(torch::equal(loaded.tasks[0].decoder().weights().at(name), weight)) << name;
}

TEST(LoadClassifier, NeedsAHeadAndOneLabel) {
  EXPECT_THAT(error_of([] { load_classifier(fixture("llama-lm"), {}); }), HasSubstr("no score head"));
  EXPECT_THAT(error_of([] { load_classifier(fixture("qwen2_labels3-seq"), {}); }), HasSubstr("3 labels"));
  EXPECT_THAT(error_of([] { load_classifier(fixture("qwen2_labels3-seq"), {{}, 3}); }), HasSubstr("label 3"));
  EXPECT_EQ(load_classifier(fixture("qwen2_labels3-seq"), {{}, 2}).tasks[0].label, 2);
  EXPECT_EQ(load_classifier(fixture("llama-seq"), {}).max_tokens, 512);  // its max_position_embeddings
}

}  // namespace
}  // namespace dmoerm::reward
