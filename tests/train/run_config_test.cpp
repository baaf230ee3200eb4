#include <gmock/gmock.h>

#include "dmoerm/train/pretrain.h"
#include "dmoerm/train/run_config.h"
#include "tests/core/temporary_directory.h"

namespace dmoerm::train {
namespace {

using ::testing::HasSubstr;

const std::string kDouble = "out = 'o'\nbase = 'b'\nlabels = 'l.jsonl'\n[[data]]\nfiles = 'd.jsonl'\n";
const std::string kSingle =
    "kind = 'single'\nout = 'o'\nbase = 'b'\n[[data]]\nfiles = ['d.jsonl']\nweight = 2.0\n";

std::string error_in(const std::string& text) {
  return error_of([&] { parse_run_config(Config::parse(text, "run.toml")); });
}

TEST(RunConfig, ReadsBothKinds) {
  const RunConfig run = parse_run_config(
      Config::parse(kDouble + "[phase1]\nlr = 0.5\nlabel_smoothing = 0.1\n[phase2]\nlora = {rank = 3}\n"));
  EXPECT_EQ(run.phase1.train.lr, 0.5);
  EXPECT_EQ(run.phase1.preference.label_smoothing, 0.1);
  EXPECT_EQ(run.phase2_lora.rank, 3);
  EXPECT_EQ(run.tasks.size(), 5u);
  EXPECT_EQ(parse_run_config(Config::parse(kSingle)).data[0].weight, 2.0);
}

TEST(RunConfig, BadSettingsAreNamed) {
  EXPECT_THAT(error_in(kDouble + "[phase1]\nlerning = 1\n"), HasSubstr("phase1.lerning is not a known key"));
  EXPECT_THAT(error_in(kDouble + "[phase1]\nlr = -1.0\n"), HasSubstr("phase1.lr"));
  EXPECT_THAT(error_in(kDouble + "[phase1]\nform = 'half'\n"), HasSubstr("one of full, lora"));
  EXPECT_THAT(error_in(kDouble + "[phase1]\nform = 'lora'\n[phase2]\nlora = {rank = 3}\n"),
              HasSubstr("phase2.lora: with phase1.form = \"lora\""));
  EXPECT_THAT(error_in(kDouble + "[phase2.lora]\nrank = 0\n"), HasSubstr("at least 1"));
  EXPECT_THAT(error_in(kDouble + "[split]\nphase1 = 1.5\n"), HasSubstr("split.phase1"));
  for (const char* form : {"head", "adapter"}) {
    const std::string router = fmt::format("{}[router]\nform = '{}'\n", kDouble, form);
    EXPECT_THAT(error_in(router), HasSubstr("share no base"));
    EXPECT_EQ(error_in(router + "[phase1]\nform = 'lora'\n"), "");
  }
  EXPECT_THAT(error_in(kDouble + "weight = 2.0\n"), HasSubstr("only kind"));
  EXPECT_THAT(error_in(kSingle + "[train]\nbatch = 0\n"), HasSubstr("train.batch"));
  EXPECT_THAT(error_in("out = 'o'\nbase = 'b'\nlabels = 'l'\n"), HasSubstr("[[data]]"));
  EXPECT_THAT(error_in("chat_format = 'qwen9'\n" + kDouble), HasSubstr("qwen9"));
  EXPECT_THAT(error_in("base = 'b'\n"), HasSubstr("out is missing"));
}

// Each number one step outside of its range and at its edge, in every table that has it.
TEST(RunConfig, NumbersOutsideOfTheirRangeAreNamed) {
  struct Number {
    const char *key, *bad, *good, *expected;
  };
  const std::vector<Number> common = {
      {"epochs", "0.0", "0.1", "a positive number"},
      {"epochs", "inf", "1.0", "a positive number"},
      {"max_steps", "-1", "0", "0 (no limit) or more"},
      {"batch", "0", "1", "at least 1"},
      {"lr", "0.0", "1e-9", "a positive number"},
      {"lr", "nan", "1.0", "a positive number"},
      {"beta1", "1.0", "0.0", "from 0 to below 1"},
      {"beta1", "-0.1", "0.999", "from 0 to below 1"},
      {"beta2", "1.0", "0.0", "from 0 to below 1"},
      {"eps", "0.0", "1e-12", "a positive number"},
      {"weight_decay", "-0.1", "0.0", "none negative"},
      {"clip", "-1.0", "0.0", "none negative"},
      {"warmup", "1.1", "1.0", "from 0 to 1"},
      {"warmup", "-0.1", "0.0", "from 0 to 1"},
      {"final_lr", "1.1", "1.0", "from 0 to 1"},
      {"final_lr", "nan", "0.0", "from 0 to 1"},
      {"eval_every", "-1", "0", "0 (once an epoch)"},
      {"patience", "-1", "0", "0 (never stop early)"},
      {"checkpoint_seconds", "-1.0", "0.0", "none negative"},
  };
  const std::vector<Number> loss = {
      {"label_smoothing", "0.5", "0.49", "from 0 to below 0.5"},
      {"label_smoothing", "-0.1", "0.0", "from 0 to below 0.5"},
      {"centering", "-0.1", "0.0", "none negative"},
      {"centering", "inf", "1.0", "none negative"},
  };
  const std::vector<Number> preference = {{"token_budget", "0", "1", "a positive number of tokens"}};
  const std::vector<Number> router = {{"balance_loss", "-1.0", "0.0", "none negative"},
                                      {"z_loss", "nan", "0.5", "none negative"}};
  const std::vector<Number> lora = {{"rank", "0", "1", "at least 1"},
                                    {"alpha", "0.0", "0.5", "a positive number"},
                                    {"dropout", "1.0", "0.9", "from 0 to below 1"},
                                    {"dropout", "nan", "0.0", "from 0 to below 1"}};
  const std::vector<Number> share = {{"held_out", "1.0", "0.0", "from 0 to below 1"},
                                     {"held_out", "nan", "0.5", "from 0 to below 1"}};
  const auto check = [](const std::string& head, const std::string& table,
                        const std::vector<Number>& numbers) {
    for (const Number& number : numbers) {
      const auto with = [&](const char* value) {
        return error_in(fmt::format("{}[{}]\n{} = {}\n", head, table, number.key, value));
      };
      const std::string error = with(number.bad);
      EXPECT_THAT(error, HasSubstr(fmt::format("{}.{} = ", table, number.key)));
      EXPECT_THAT(error, HasSubstr(number.expected)) << table << "." << number.key;
      EXPECT_EQ(with(number.good), "") << table << "." << number.key;
    }
  };
  for (const char* table : {"router", "warm_start", "phase1", "phase2", "phase3"})
    check(kDouble, table, common);
  for (const char* table : {"warm_start", "phase1", "phase2", "phase3"}) check(kDouble, table, loss);
  for (const char* table : {"warm_start", "phase1", "phase2"}) check(kDouble, table, preference);
  for (const char* table : {"router.lora", "phase1.lora", "phase2.lora"}) check(kDouble, table, lora);
  for (const char* table : {"split", "router"}) check(kDouble, table, share);
  check(kDouble, "phase1", router);
  check(kDouble, "phase3", {{"pull", "-1.0", "0.0", "none negative"}});
  check(kDouble, "split", {{"phase1", "0.0", "0.5", "to below 1"}, {"phase1", "1.0", "0.9", "to below 1"}});
  for (const auto& numbers : {common, loss, preference, router}) check(kSingle, "train", numbers);
  EXPECT_THAT(error_in(kDouble + "[phase1]\nform = 'lora'\nz_loss = 0.1\n"),
              HasSubstr("with form = \"full\""));
}

TEST(PretrainConfig, BadShapesAreNamed) {
  const auto error = [](const std::string& model) {
    return error_of([&] {
      parse_pretrain_config(Config::parse(
          "out = 'o'\ntokenizer = 't'\n[model]\n" + model + "[[data]]\nfile = 'x.txt'\n", "base.toml"));
    });
  };
  EXPECT_EQ(error("hidden_size = 64\nlayers = 2\nheads = 4\nintermediate_size = 160\n"), "");
  EXPECT_THAT(error("hidden_size = 64\nlayers = 2\nheads = 4\nkv_heads = 3\nintermediate_size = 160\n"),
              HasSubstr("model.kv_heads = 3: expected a divisor of heads, 4"));
  EXPECT_THAT(error("hidden_size = 64\nlayers = 2\nheads = 0\nintermediate_size = 160\n"),
              HasSubstr("model.heads = 0: expected 1 or more"));
  EXPECT_THAT(error("hidden_size = 66\nlayers = 2\nheads = 22\nintermediate_size = 160\n"),
              HasSubstr("model.hidden_size = 66: expected a multiple of twice the heads, 44, or a head_dim"));
  EXPECT_THAT(error("hidden_size = 66\nlayers = 2\nheads = 22\nhead_dim = 3\nintermediate_size = 160\n"),
              HasSubstr("model.head_dim = 3: expected an even number"));
  EXPECT_THAT(error("hidden_size = 64\nlayers = 0\nheads = 4\nintermediate_size = 160\n"),
              HasSubstr("model.layers = 0: expected 1 or more"));
  EXPECT_THAT(error("layers = 2\nheads = 4\nintermediate_size = 160\n"), HasSubstr("hidden_size is missing"));
  const std::string shape = "hidden_size = 64\nlayers = 2\nheads = 4\nintermediate_size = 160\n";
  EXPECT_THAT(error(shape + "rope_theta = 0.0\n"), HasSubstr("model.rope_theta = 0"));
  const auto top_error = [&](const std::string& line) {
    return error_of([&] {
      parse_pretrain_config(
          Config::parse(line + "out = 'o'\ntokenizer = 't'\n[model]\n" + shape + "[[data]]\nfile = 'x.txt'\n",
                        "base.toml"));
    });
  };
  EXPECT_THAT(error_of([&] {
                parse_pretrain_config(Config::parse("out = 'o'\ntokenizer = 't'\n[model]\n" + shape +
                                                    "[[data]]\nfile = 'x.jsonl.gz'\n"));
              }),
              HasSubstr("JSONL needs unit = \"records\""));
  EXPECT_THAT(top_error("token_budget = 0\n"), HasSubstr("token_budget = 0"));
  EXPECT_THAT(top_error("held_out = 1.0\n"), HasSubstr("held_out = 1"));
}

}  // namespace
}  // namespace dmoerm::train
