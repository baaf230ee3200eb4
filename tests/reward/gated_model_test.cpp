// Gated model: the same reward in any batch, errors of single records, the directory.
#include "dmoerm/reward/gated_model.h"

#include <algorithm>
#include <fstream>

#include "dmoerm/reward/sequence_scores.h"
#include "tests/reward/gated_fixtures.h"

namespace dmoerm::reward {
namespace {

constexpr double kSameReward = 2e-5;  // as kBatchTolerance in scorer_test.cpp

TEST(GatedModel, RewardsDoNotDependOnTheBatch) {
  const auto records = mixed_records();
  GatedModel model = tiny_gated_model();
  const auto whole = model.score(records);
  auto reversed = records;
  std::ranges::reverse(reversed);
  const auto backwards = model.score(reversed);
  GatedModel unshared(model.parts(), {.token_budget = 1, .share_prefix = false});
  const auto small = unshared.score(records);
  for (size_t i = 0; i < records.size(); ++i) {
    ASSERT_EQ(whole[i].error, "");
    ASSERT_EQ(whole[i].rewards.size(), records[i].num_answers());
    const auto alone = model.score({&records[i], 1})[0];
    expect_near(alone.rewards, whole[i].rewards, kSameReward);
    expect_near(backwards[records.size() - 1 - i].rewards, whole[i].rewards, kSameReward);
    expect_near(small[i].rewards, whole[i].rewards, kSameReward);
    ASSERT_EQ(alone.experts.size(), 3u);
    for (size_t p = 0; p < 3; ++p) expect_near(alone.experts[p], whole[i].experts[p], kSameReward);
  }
}

// From the parts, one answer at a time.
TEST(GatedModel, IsTheHeadOnTheStatesOfAnswerAndPrompt) {
  GatedModel model = tiny_gated_model();
  const GatedParts& parts = model.parts();
  data::GroupEncoder encoder(parts.tokenizer, {parts.chat_format, parts.max_tokens});
  const auto state = [&](const std::vector<int32_t>& tokens) {
    const std::vector<PromptSequences> one = {{tokens}};
    return packed_states(*parts.base.decoder, nullptr, one).select(1, 0);
  };
  for (const auto& record : mixed_records()) {
    const auto score = model.score({&record, 1})[0];
    const auto group = encoder.encode(record);
    const auto lengths = encoder.answer_lengths(record);
    const Tensor prompt_GD = state(encoder.encode_router_input(record));
    for (size_t a = 0; a < lengths.size(); ++a) {
      const GatedInputs inputs = {state(group.sequences[group.records[0].sequence_of_answer[a]]),
                                  torch::tensor({lengths[a]}), prompt_GD, torch::tensor({0})};
      expect_near({score.rewards[a]}, to_doubles(parts.head.reward(inputs)), kSameReward);
    }
  }
}

TEST(GatedModel, TheSameAnswerAsMessagesOrIdsGetsOneReward) {
  GatedModel model = tiny_gated_model();
  const text::Tokenizer& tokenizer = *model.parts().tokenizer;
  const auto chat = chat_record("hello there", {"hi", "hello, how are you today?"});
  const std::string prompt = "<|im_start|>user\nhello there<|im_end|>\n<|im_start|>assistant\n";
  data::PreferenceRecord ids = ids_record(tokenizer.encode(prompt), {}), whole = ids_record({}, {});
  for (const std::string answer : {"hi<|im_end|>\n", "hello, how are you today?<|im_end|>\n"}) {
    ids.response_ids.push_back(tokenizer.encode(answer));
    whole.response_ids.push_back(tokenizer.encode(prompt + answer));
  }
  const auto expected = model.score({&chat, 1})[0].rewards;
  expect_near(model.score({&ids, 1})[0].rewards, expected, kSameReward);
  expect_near(model.score({&whole, 1})[0].rewards, expected, kSameReward);
}

TEST(GatedModel, ARecordThatCannotBeScoredDoesNotSpoilTheOthers) {
  GatedModel model = tiny_gated_model();
  const std::vector<data::PreferenceRecord> records = {
      chat_record("q", {"a", "b"}), ids_record({5, 100000}, {{1}}), ids_record({5}, {{-1}}),
      ids_record({}, {{}}),         chat_record("no answers", {}),  chat_record("知识 😀", {"", "ответ"})};
  const auto scores = model.score(records);
  expect_near(scores[0].rewards, model.score({records.data(), 1})[0].rewards, kSameReward);
  EXPECT_THAT(scores[1].error, HasSubstr("token id 100000 is outside the vocabulary"));
  EXPECT_THAT(scores[2].error, HasSubstr("token id -1 is outside the vocabulary"));
  EXPECT_THAT(scores[3].error, HasSubstr("an answer without any token"));
  EXPECT_TRUE(scores[3].rewards.empty());
  EXPECT_EQ(scores[4].error, "");
  EXPECT_TRUE(scores[4].rewards.empty());
  EXPECT_EQ(scores[5].error, "");
  EXPECT_EQ(scores[5].rewards.size(), 2u);
  EXPECT_TRUE(model.score({}).empty());
  EXPECT_EQ(model.score({records.data() + 4, 1})[0].error, "");

  GatedParts parts = model.parts();
  parts.tokenizer.reset();
  GatedModel without(parts);
  EXPECT_THAT(without.score({records.data(), 1})[0].error, HasSubstr("needs a tokenizer"));
  const auto ids = ids_record({5, 6}, {{7}, {8, 9}});
  EXPECT_EQ(without.score({&ids, 1})[0].error, "");

  parts.head.tensors().at("gate.out.bias").fill_(NAN);
  EXPECT_THAT(GatedModel(parts).score({&ids, 1})[0].error, HasSubstr("a reward that is not finite"));
}

TEST(GatedModel, PartsMustFit) {
  const GatedParts parts = tiny_gated_model().parts();
  GatedParts wrong = parts;
  wrong.objectives.pop_back();
  EXPECT_THAT(error_of([&] { GatedModel{wrong}; }),
              HasSubstr("3 heads, expected one for each of 2 objectives"));
  wrong = parts;
  wrong.objectives[1] = "logic";
  EXPECT_THAT(error_of([&] { GatedModel{wrong}; }), HasSubstr("two objectives are called \"logic\""));
  wrong = parts;
  wrong.head = random_gated_head(3, 8, 1);
  EXPECT_THAT(error_of([&] { GatedModel{wrong}; }), HasSubstr("states of width 8, the base has width 16"));
}

std::vector<double> all_numbers(GatedModel& model) {
  std::vector<double> all;
  for (const auto& score : model.score(mixed_records())) {
    EXPECT_EQ(score.error, "");
    all.insert(all.end(), score.rewards.begin(), score.rewards.end());
    for (const auto& rating : score.experts) all.insert(all.end(), rating.begin(), rating.end());
  }
  return all;
}

TEST(GatedModel, SavesAndLoadsBitEqual) {
  const TemporaryDirectory directory;
  GatedModel model = tiny_gated_model();
  const fs::path path = directory.path() / "model";
  tiny_gated_model(9).save(path);  // to be replaced
  model.save(path);
  GatedModel read = GatedModel::load(path);
  EXPECT_EQ(all_numbers(read), all_numbers(model));
  EXPECT_EQ(read.parts().objectives, model.parts().objectives);
  EXPECT_EQ(read.parts().max_tokens, 64);
  ScorerOptions options;
  options.max_tokens = 3;
  std::vector<data::PreferenceRecord> records = {ids_record({5, 6, 7, 8}, {{9, 10}})};
  const auto scorer = load_scorer(path, options);
  scorer->score(records);
  EXPECT_EQ(scorer->counts().encoded.prompts_cut, 1);
  options.chat_format = "nonsense";
  EXPECT_THAT(error_of([&] { load_scorer(path, options); }), HasSubstr("nonsense"));
  options = {};
  options.label = 0;
  EXPECT_THAT(error_of([&] { load_scorer(path, options); }), HasSubstr("found a gated model"));
  for (const auto& entry : fs::recursive_directory_iterator(directory.path())) {
    const auto kind = entry.path().extension();
    EXPECT_TRUE(entry.is_directory() || kind == ".json" || kind == ".safetensors") << entry.path();
  }
}

TEST(GatedModel, DamagedDirectoriesAreRefused) {
  const TemporaryDirectory directory;
  const fs::path path = directory.path() / "model";
  const GatedModel model = tiny_gated_model();
  const auto refuses = [&](const std::function<void(Json&)>& damage, const std::string& message) {
    model.save(path);
    Json json = load_json(path / "dmoerm.json");
    damage(json);
    std::ofstream(path / "dmoerm.json") << json.dump();
    const auto error = error_of([&] { GatedModel::load(path); });
    EXPECT_THAT(error, HasSubstr(message));
    EXPECT_EQ(error.find('\n'), std::string::npos);
  };
  refuses([](Json& json) { json["kind"] = "double_layer"; },
          "\"kind\" is \"double_layer\", expected \"gated\"");
  refuses([](Json& json) { json["format"] = 2; }, "\"format\" is 2, this program reads 1");
  refuses([](Json& json) { json["objective"] = 1; }, "\"objective\" is no known key");
  refuses([](Json& json) { json["objectives"] = {"a", 3}; }, "\"objectives\" holds a whole number");
  refuses([](Json& json) { json["objectives"] = Json::array(); }, "\"objectives\" holds none");
  refuses([](Json& json) { json["objectives"] = {"a", "b"}; }, "has shape");
  refuses([](Json& json) { json["objectives"] = {"a", "b", "b"}; }, "two objectives are called \"b\"");
  refuses([](Json& json) { json["max_tokens"] = 0; }, "\"max_tokens\" is 0, expected 1 to");
  refuses([](Json& json) { json["chat_format"] = "klingon"; }, "klingon");
  refuses([](Json& json) { json["gate"].erase("hidden"); }, "gate] \"hidden\" is missing");
  refuses([](Json& json) { json["gate"]["layers"] = 1e15; }, "\"layers\" is");
  refuses([](Json& json) { json["gate"]["layers"] = 1000000000; },
          "\"layers\" is 1000000000, expected 1 to 100");
  refuses([](Json& json) { json["gate"]["hidden"] = 13; }, "has shape");
  refuses([](Json& json) { json["gate"]["temperature"] = 0; }, "expected a positive number");
  refuses([](Json& json) { json["gate"] = "gate.safetensors"; }, "gate] found a string, expected an object");
  refuses([](Json& json) { json["sha256"] = 1; }, "\"sha256\" is a whole number");
  refuses([](Json& json) { json["base"] = "nowhere"; }, "nowhere");
  refuses([&](Json&) { fs::remove(path / "gate.safetensors"); },
          "the file \"gate.safetensors\" of the model is missing");
  refuses([&](Json&) { fs::remove(path / "base" / "model.safetensors"); },
          "model.safetensors\" of the model is missing");
  refuses([&](Json&) { fs::resize_file(path / "gate.safetensors", 100); }, "gate.safetensors");
  refuses([&](Json&) { fs::resize_file(path / "base" / "config.json", 10); }, "config.json");
  EXPECT_THAT(error_of([&] { GatedModel::load(directory.path() / "none"); }), HasSubstr("dmoerm.json"));
  EXPECT_THAT(error_of([&] { DoubleLayerModel::load((model.save(path), path)); }), HasSubstr("dmoerm.json"));
}

}  // namespace
}  // namespace dmoerm::reward
