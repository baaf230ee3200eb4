#include <gmock/gmock.h>

#include "dmoerm/train/pretrain.h"
#include "dmoerm/train/run_config.h"
#include "tests/core/temporary_directory.h"

namespace dmoerm::train {
namespace {

using ::testing::HasSubstr;

const std::string kDouble = "out = 'o'\nbase = 'b'\nlabels = 'l.jsonl'\n[[data]]\nfiles = 'd.jsonl'\n";
const std::string kSingle = "kind = 'single'\nout = 'o'\nbase = 'b'\n[[data]]\nfiles = ['d.jsonl']\nweight = 2.0\n";

std::string error_in(const std::string& text) {
  return error_of([&] { parse_run_config(Config::parse(text, "run.toml")); });
}

TEST(RunConfig, ReadsBothKinds) {
  const RunConfig run = parse_run_config(Config::parse(kDouble + "[phase1]\nlr = 0.5\nlabel_smoothing = 0.1\n[phase2]\nlora = {rank = 3}\n"));
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
  EXPECT_THAT(error_in(kDouble + "[phase1]\nform = 'lora'\n[phase2]\nlora = {rank = 3}\n"), HasSubstr("phase2.lora"));
  EXPECT_THAT(error_in(kDouble + "[phase2.lora]\nrank = 0\n"), HasSubstr("at least 1"));
  EXPECT_THAT(error_in(kDouble + "[split]\nphase1 = 1.5\n"), HasSubstr("split.phase1"));
  EXPECT_THAT(error_in(kDouble + "weight = 2.0\n"), HasSubstr("only kind"));
  EXPECT_THAT(error_in(kSingle + "[train]\nbatch = 0\n"), HasSubstr("train.batch"));
  EXPECT_THAT(error_in("out = 'o'\nbase = 'b'\nlabels = 'l'\n"), HasSubstr("[[data]]"));
  EXPECT_THAT(error_in("chat_format = 'qwen9'\n" + kDouble), HasSubstr("qwen9"));
  EXPECT_THAT(error_in("base = 'b'\n"), HasSubstr("out is missing"));
}

TEST(PretrainConfig, BadShapesAreNamed) {
  const auto error = [](const std::string& model) {
    return error_of([&] {
      parse_pretrain_config(Config::parse("out = 'o'\ntokenizer = 't'\n[model]\n" + model + "[[data]]\nfile = 'x.txt'\n", "base.toml"));
    });
  };
  EXPECT_EQ(error("hidden_size = 64\nlayers = 2\nheads = 4\nintermediate_size = 160\n"), "");
  EXPECT_THAT(error("hidden_size = 64\nlayers = 2\nheads = 4\nkv_heads = 3\nintermediate_size = 160\n"), HasSubstr("a divisor of heads"));
  EXPECT_THAT(error("hidden_size = 66\nlayers = 2\nheads = 22\nintermediate_size = 160\n"), HasSubstr("an even number"));
  EXPECT_THAT(error("hidden_size = 64\nlayers = 0\nheads = 4\nintermediate_size = 160\n"), HasSubstr("positive"));
  EXPECT_THAT(error("layers = 2\nheads = 4\nintermediate_size = 160\n"), HasSubstr("hidden_size is missing"));
}

}  // namespace
}  // namespace dmoerm::train
