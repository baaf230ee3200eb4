// Kind "single": what is written scores as the trained model did, and can be padded.
#include <fstream>

#include "dmoerm/reward/scorer.h"
#include "dmoerm/train/double_layer_run.h"
#include "tests/train/train_fixture.h"

namespace dmoerm::train {
namespace {

class SingleRun : public TrainTest {
 protected:
  // A base with the tiny tokenizer of the fixtures, and pairs in which the answer with "good" is better.
  SingleRun() {
    fs::create_directories(directory_ / "base");
    for (const char* name : {"tokenizer.json", "tokenizer_config.json"})
      if (fs::exists(kFixtures / "tokenizer-byte_level" / name))
        fs::copy_file(kFixtures / "tokenizer-byte_level" / name, directory_ / "base" / name);
    models::Checkpoint base;
    base.family = "llama";
    nn::DecoderConfig shape = tiny_config();
    shape.vocab_size = text::Tokenizer::load(directory_ / "base").vocab_size();
    shape.tied_embeddings = true;
    base.decoder = std::make_shared<nn::Decoder>(shape, 3);
    base.head = models::HeadKind::LanguageModel;
    base.lm_weight = base.decoder->weights().at("embed_tokens.weight");
    models::save_checkpoint(directory_ / "base", base);
    for (const std::string name : {"a", "b"}) {
      std::ofstream file(directory_ / (name + ".jsonl"));
      for (int i = 0; i < 40; ++i)
        file << Json{{"prompt", {{{"role", "user"}, {"content", name + std::to_string(i)}}}},
                     {"chosen", {{{"role", "assistant"}, {"content", "good " + std::to_string(i)}}}},
                     {"rejected", {{{"role", "assistant"}, {"content", "bad " + std::to_string(i)}}}}}
                    .dump()
             << "\n";
    }
    config_.kind = "single";
    config_.out = directory_ / "run";
    config_.base = directory_ / "base";
    config_.encode.chat_format = "chatml";
    config_.encode.max_tokens = 64;
    config_.data.resize(2);
    config_.data[0].files = {directory_ / "a.jsonl"};
    config_.data[1].files = {directory_ / "b.jsonl"};
    config_.data[1].weight = 3;
    config_.phase1.train = {.epochs = 6, .batch = 8, .lr = 1e-2};
    config_.split.held_out = 0.2;
  }
  RunConfig config_;
};

TEST_F(SingleRun, WritesAModelThatLearntAndCanBePadded) {
  train_single(config_, {});
  reward::Scorer scorer = reward::Scorer::load(config_.out / "model");
  EXPECT_EQ(scorer.model().chat_format, "template");  // which went along
  EXPECT_EQ(scorer.chat_format_description(), "the checkpoint's template, read back as chatml");
  EXPECT_EQ(scorer.model().max_tokens, 64);
  data::PreferenceRecord record;
  record.messages = {{"user", "c1"}};
  record.responses = {{{"assistant", "good 7"}}, {{"assistant", "bad 7"}}};
  const auto scores = scorer.score({&record, 1});
  ASSERT_EQ(scores[0].error, "");
  EXPECT_GT(scores[0].rewards[0], scores[0].rewards[1]);
  const models::Checkpoint saved = models::load_checkpoint(config_.out / "model");
  ASSERT_TRUE(saved.pad_token_id.has_value());
  // Padding must never be what closes an answer: transformers would skip it.
  const auto tokenizer = text::Tokenizer::load(config_.out / "model");
  const auto ids = tokenizer.encode_rendered(text::ChatFormat::named("chatml").render(
      std::vector<text::Message>{{"user", "x"}, {"assistant", "y"}}));
  EXPECT_NE(*saved.pad_token_id, ids.back());
  EXPECT_EQ(saved.pad_token_id, static_cast<int64_t>(*tokenizer.pad_id()));
}

TEST_F(SingleRun, WritesAnAdapterInFormLora) {
  config_.phase1_form = "lora";
  train_single(config_, {});
  const models::Checkpoint base = models::load_checkpoint(config_.base);
  const models::Adapter adapter = models::load_adapter(config_.out / "model", *base.decoder);
  EXPECT_TRUE(adapter.score_weight.defined());
  EXPECT_FALSE(adapter.lora.pairs.empty());
  // It carries the chat format and the length limit that it was trained with; the base has none of them.
  reward::ScorerOptions options;
  options.adapter = config_.out / "model";
  const reward::Scorer scorer = reward::Scorer::load(config_.base, options);
  EXPECT_EQ(scorer.chat_format_description(), "the checkpoint's template, read back as chatml");
  EXPECT_EQ(scorer.model().max_tokens, 64);
}

TEST_F(SingleRun, BadDataIsNamedByFileAndLine) {
  std::ofstream(directory_ / "a.jsonl", std::ios::app) << "{\"prompt\": 3}\n";
  try {
    train_single(config_, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("a.jsonl:41"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace dmoerm::train
