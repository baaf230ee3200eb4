// Runs the program itself: a study by two processes from base to report, best-of-n, RewardBench's form.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "dmoerm/core/json.h"
#include "tests/program/program_fixture.h"

namespace dmoerm {
namespace {

using testing::HasSubstr;

class StudyProgramTest : public testing::Test {
 protected:
  StudyProgramTest() : directory_(fs::temp_directory_path() / fmt::format("dmoerm-study-{}", getpid())) {
    remove_tree(directory_);
    write_tiny_world(
        directory_,
        {.train = 20, .validation = 1, .test = 4, .pretraining = 200, .pool_prompts = 1, .pool_answers = 40});
    write("double.toml", R"(
out = "unused"
base = "${dir}/base/model"
chat_format = "plain"
max_tokens = 128
labels = ["${dir}/labels.jsonl"]
[[data]]
files = ["${dir}/world/train.jsonl"]
[router]
max_steps = 2
[phase1]
max_steps = 2
[phase2]
max_steps = 2
[phase3]
max_steps = 2
)");
    write("single.toml", R"(
kind = "single"
out = "unused"
base = "${dir}/base/model"
chat_format = "plain"
max_tokens = 128
[[data]]
files = ["${dir}/world/train.jsonl"]
[train]
max_steps = 2
)");
    write("study.toml", R"(
out = "${dir}/out"
methods = ["single", "dmoerm"]
seeds = [1, 2]
double_layer = "${dir}/double.toml"
single = "${dir}/single.toml"
[[evaluation]]
name = "test"
files = ["${dir}/world/test.jsonl"]
[[best_of_n]]
name = "pool"
files = ["${dir}/world/pool.jsonl"]
)");
  }
  ~StudyProgramTest() override { remove_tree(directory_); }

  // `text` and the variable dir.
  void write(const std::string& name, const std::string& text) const {
    write_file_atomically(directory_ / name, text + "[vars]\ndir = \"" + directory_.string() + "\"\n");
  }

  // Standard output; the exit status in `status_`.
  std::string run(const std::string& arguments) {
    const ProgramResult result =
        run_shell(fmt::format("{} {} 2>{}", DMOERM_PROGRAM, arguments, (directory_ / "log").string()));
    status_ = result.status;
    return result.output;
  }

  fs::path directory_;
  int status_ = 0;
};

TEST_F(StudyProgramTest, ProcessesShareTheRuns) {
  const std::string d = directory_.string();
  run("pretrain " + d + "/base.toml");
  ASSERT_EQ(status_, 0) << read_file(directory_ / "log");
  run("label --judge world --data " + d + "/world/train.jsonl --out " + d + "/labels.jsonl");
  ASSERT_EQ(status_, 0) << read_file(directory_ / "log");

  const std::string table = run("study " + d + "/study.toml --jobs 2 --threads 1");
  ASSERT_EQ(status_, 0) << read_file(directory_ / "log")
                        << read_file(directory_ / "out" / "logs" / "worker-1.log");
  for (const char* text :
       {"Accuracy on test", "one model for all tasks", "DMoERM", "Best-of-n on pool", "Report: "})
    EXPECT_THAT(table, HasSubstr(text));
  const Json results = load_json(directory_ / "out" / "results.json");
  EXPECT_EQ(results.at("settings").at(0).at("methods").at(1).at("seeds").size(), 2u);
  EXPECT_THAT(read_file(directory_ / "out" / "report.html"), HasSubstr("</html>"));
  EXPECT_THAT(read_file(directory_ / "out" / "results.csv"), HasSubstr(",dmoerm,2,test,,accuracy,"));
  EXPECT_EQ(run("study " + d + "/study.toml"), table);  // nothing is made anew, the numbers are the same

  fs::path model;
  for (const auto& cell : fs::directory_iterator(directory_ / "out" / "cells"))
    model = cell.path() / "single" / "model";
  const std::string curve =
      run("bon --model " + model.string() + " --data " + d + "/world/pool.jsonl --report " + d + "/bon.html");
  ASSERT_EQ(status_, 0) << read_file(directory_ / "log");
  EXPECT_THAT(curve, HasSubstr("5 prompts, 40 answers in the smallest pool"));
  EXPECT_THAT(curve, HasSubstr("\n40 "));
  EXPECT_THAT(read_file(directory_ / "bon.html"), HasSubstr("Gold reward"));

  write_file_atomically(directory_ / "rb.jsonl",
                        R"({"prompt": "a", "chosen": "b", "rejected": "c", "subset": "alpacaeval-easy"})"
                        "\n");
  const std::string table_and_scores =
      run("eval --model " + model.string() + " --data " + d + "/rb.jsonl --reward-bench " + d + "/rb.json");
  ASSERT_EQ(status_, 0) << read_file(directory_ / "log");
  EXPECT_THAT(table_and_scores, HasSubstr("RewardBench: Chat "));
  EXPECT_THAT(table_and_scores, HasSubstr("no overall score: subsets are missing"));
  EXPECT_TRUE(load_json(directory_ / "rb.json").contains("alpacaeval-easy"));
}

TEST_F(StudyProgramTest, AStudyThatFailsSaysWhereAndEndsWithAnError) {
  run("pretrain " + directory_.string() + "/base.toml");
  write_file_atomically(directory_ / "labels.jsonl", "");
  const std::string table = run("study " + directory_.string() + "/study.toml");
  EXPECT_EQ(status_, 1);
  EXPECT_THAT(table, HasSubstr("no kept label"));
  EXPECT_THAT(table, HasSubstr("one model for all tasks"));  // what went well is shown
}

}  // namespace
}  // namespace dmoerm
