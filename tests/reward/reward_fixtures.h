// Models built from the checkpoints that transformers and PEFT wrote, and a small one with a tokenizer.
#pragma once

#include "dmoerm/reward/scorer.h"
#include "tests/models/model_fixtures.h"

namespace dmoerm::reward {

using models::error_of;
using models::expect_close;
using models::fixture;
using models::TemporaryDirectory;
using testing::HasSubstr;

// The aggregator that stands in an *-experts directory's expected.safetensors under other names.
inline Aggregator fixture_aggregator(const SafeTensors& expected, int64_t num_experts, int64_t width) {
  const TemporaryDirectory directory;
  const auto file = directory.path() / "aggregator.safetensors";
  save_safetensors(file, {{"fc1.weight", expected.tensor("W0")},
                          {"fc1.bias", expected.tensor("b0")},
                          {"prelu.weight", expected.tensor("slope")},
                          {"fc2.weight", expected.tensor("W1")},
                          {"fc2.bias", expected.tensor("b1")}});
  return Aggregator::load(file, num_experts, width);
}

// The inner model of llama-experts, qwen2-experts or llama-experts-mixed.
inline InnerModel fixture_inner_model(const std::string& name, const std::string& task) {
  const Json about = load_json(fixture(name) / "experts.json");
  InnerModel inner;
  inner.task = task;
  inner.base = std::make_shared<BaseModel>(
      BaseModel{"base", models::load_checkpoint(fixture(about["base"].get<std::string>()))});
  const auto num_experts = about["experts"].get<int64_t>();
  for (int64_t k = 0; k < num_experts; ++k)
    inner.experts.push_back(CapabilityExpert::load(fixture(name) / fmt::format("expert{}", k),
                                                   fmt::format("point {}", k), inner.decoder()));
  inner.aggregator = fixture_aggregator(SafeTensors(fixture(name) / "expected.safetensors"), num_experts,
                                        inner.decoder().config().hidden_size);
  return inner;
}

// A tiny decoder that reads the ids of the byte-level fixture tokenizer, with a score head.
inline models::Checkpoint tiny_checkpoint(uint64_t seed, int64_t labels = 1) {
  nn::DecoderConfig config;
  config.vocab_size = 640;
  config.hidden_size = 16;
  config.intermediate_size = 24;
  config.num_layers = 2;
  config.num_heads = 2;
  config.num_kv_heads = 1;
  config.head_dim = 8;
  models::Checkpoint checkpoint;
  checkpoint.family = "llama";
  checkpoint.decoder = std::make_shared<nn::Decoder>(config, seed);
  for (auto& [name, weight] : checkpoint.decoder->weights())
    if (weight.dim() == 2) weight.mul_(20);  // else all answers would get nearly one reward
  checkpoint.head = models::HeadKind::Score;
  torch::manual_seed(seed);
  checkpoint.score_weight = torch::randn({labels, 16});
  checkpoint.eos_token_id = 2;
  checkpoint.pad_token_id = 0;
  return checkpoint;
}

inline CapabilityExpert tiny_expert(const nn::Decoder& decoder, const std::string& point, uint64_t seed) {
  CapabilityExpert expert{point, models::new_adapter(decoder, {}, seed)};
  torch::manual_seed(seed);
  for (auto& [name, pair] : expert.adapter.lora.pairs) pair.b = torch::randn_like(pair.b);
  expert.adapter.score_weight = torch::randn({1, decoder.config().hidden_size});
  return expert;
}

// Two tasks over one shared base, with all that a directory can hold: aliases, an aggregator, a sum, a
// router.
inline DoubleLayerModel tiny_model(RouterKind kind = RouterKind::Head) {
  const auto base = std::make_shared<BaseModel>(BaseModel{"base", tiny_checkpoint(1)});
  const nn::Decoder& decoder = *base->checkpoint.decoder;
  DoubleLayerModel model;
  model.chat_format = "chatml";
  model.max_tokens = 64;
  model.tokenizer = text::Tokenizer::load(fixture("tokenizer-byte_level"));
  InnerModel chat;
  chat.task = "chat";
  chat.aliases = {"smalltalk"};
  chat.base = base;
  for (const auto* point : {"empathy", "logic", "../depth of 知识"})
    chat.experts.push_back(tiny_expert(decoder, point, chat.experts.size() + 10));
  chat.aggregator = Aggregator(3, 16, 5);
  chat.reward_mean = 0.25;
  chat.reward_std = 0.5;
  InnerModel text;
  text.task = "text";
  text.base = base;
  for (const auto* point : {"logic", "style"})
    text.experts.push_back(tiny_expert(decoder, point, text.experts.size() + 20));
  text.sum_weights = {0.5, -1.25};
  model.tasks = {chat, text};

  TaskRouter router;
  router.kind = kind;
  router.labels = {"text", "chat"};
  torch::manual_seed(3);
  if (kind == RouterKind::Classifier) {
    router.own = tiny_checkpoint(4, 2);
  } else {
    router.shared = base->checkpoint.decoder;
    if (kind == RouterKind::Head) router.head_CD = torch::randn({2, 16});
  }
  if (kind == RouterKind::Adapter) {
    router.adapter = tiny_expert(decoder, "", 30).adapter;
    router.adapter->score_weight = torch::randn({2, 16});
  }
  model.router = router;
  return model;
}

inline data::PreferenceRecord ids_record(std::vector<int32_t> prompt,
                                         std::vector<std::vector<int32_t>> answers,
                                         const std::string& task = "") {
  data::PreferenceRecord record;
  record.id = "r";
  record.is_ids = true;
  record.task = task;
  record.prompt_ids = std::move(prompt);
  record.response_ids = std::move(answers);
  return record;
}

inline data::PreferenceRecord chat_record(const std::string& question,
                                          const std::vector<std::string>& answers,
                                          const std::string& task = "") {
  data::PreferenceRecord record;
  record.id = question;
  record.task = task;
  record.messages = {{"user", question}};
  for (const auto& answer : answers) record.responses.push_back({{"assistant", answer}});
  return record;
}

inline std::vector<data::PreferenceRecord> mixed_records() {
  return {chat_record("hello there", {"hi", "hello, how are you today?", "no"}, "chat"),
          chat_record("write a poem about the sea", {"the sea is wide", "waves"}, "text"),
          chat_record("what is the capital of France?", {"Paris", "I do not know, maybe London?"}),
          chat_record("one answer", {"only"}, "smalltalk"),
          ids_record({5, 6, 7}, {{8, 9}, {10}, {8, 9, 11}}, "text"),
          ids_record({}, {{12, 13, 14}}, "unheard of"),
          chat_record("hello there", {"hi", "another answer"}, "chat")};
}

inline void expect_near(const std::vector<double>& actual, const std::vector<double>& expected,
                        double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i)
    EXPECT_NEAR(actual[i], expected[i], tolerance * std::max(1.0, std::abs(expected[i])));
}

// All rewards and expert scores of the mixed records in one list; bit equality is wanted.
inline std::vector<double> all_scores(const DoubleLayerModel& model) {
  Scorer scorer(model);
  std::vector<double> all;
  for (const auto& score : scorer.score(mixed_records())) {
    EXPECT_EQ(score.error, "");
    all.insert(all.end(), score.rewards.begin(), score.rewards.end());
    for (const auto& expert : score.experts) all.insert(all.end(), expert.begin(), expert.end());
    all.insert(all.end(), score.task_probs.begin(), score.task_probs.end());
  }
  return all;
}

}  // namespace dmoerm::reward
