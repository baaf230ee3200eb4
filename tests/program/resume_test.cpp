// Runs the program itself: killed in every phase and resumed, training must end with the same weights, bit
// for bit.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <thread>

#include "dmoerm/core/hash.h"
#include "tests/program/program_fixture.h"

namespace dmoerm {
namespace {

class ResumeTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = fs::temp_directory_path() / fmt::format("dmoerm-resume-{}", getpid());
    remove_tree(directory_);
    write_tiny_world(directory_, {.train = 24, .validation = 4, .test = 4, .pretraining = 200});
    write("run.toml", R"(
kind = "double_layer"
out = "${dir}/${name}"
base = "${dir}/base/model"
labels = "${dir}/labels.jsonl"
tasks = "${dir}/tasks.toml"
max_tokens = 128
[[data]]
files = "${dir}/world/train.jsonl"
[router]
max_steps = 6
checkpoint_seconds = 0
[warm_start]
epochs = 3
batch = 4
checkpoint_seconds = 0
[phase1]
form = "${form}"
lora = {rank = 4, alpha = 8, dropout = 0.1}
epochs = 3
batch = 4
checkpoint_seconds = 0
token_budget = 600
[phase2]
epochs = 3
batch = 4
checkpoint_seconds = 0
[phase3]
epochs = 8
batch = 4
checkpoint_seconds = 0
)");
    write("tasks.toml", R"(
[[task]]
name = "chat"
points = ["proactivity", "emotion_expression"]
[[task]]
name = "text"
points = ["expressiveness", "readability", "logic"]
aliases = ["roleplay", "subj_qa", "obj_qa"]
[[task]]
name = "poems"  # of which there are no records
points = ["logic"]
)");
    ASSERT_EQ(wait_for(start({"pretrain", path("base.toml")})), 0);
    ASSERT_EQ(wait_for(start({"label", "--data", path("world/train.jsonl"), "--judge", "world", "--tasks",
                              path("tasks.toml"), "--out", path("labels.jsonl")})),
              0);
  }
  static void TearDownTestSuite() { remove_tree(directory_); }

  static std::string path(const std::string& name) { return (directory_ / name).string(); }
  static std::string set(const std::string& variable, const std::string& value) {
    return "vars." + variable + "=\"" + value + "\"";
  }
  static void write(const std::string& name, const std::string& text) {
    write_file_atomically(directory_ / name, text);
  }

  static pid_t start(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), DMOERM_PROGRAM);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const std::string log = path("log.txt");
    const pid_t child = fork();
    if (child == 0) {
      if (freopen(log.c_str(), "a", stderr) == nullptr || freopen(log.c_str(), "a", stdout) == nullptr)
        _exit(126);
      execv(argv[0], argv.data());
      _exit(127);
    }
    return child;
  }
  static int wait_for(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0) std::fprintf(stderr, "%s\n", read_file(directory_ / "log.txt").c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  }

  static std::vector<std::string> train_command(const std::string& name, const std::string& form,
                                                bool resume) {
    std::vector<std::string> command = {"train",     path("run.toml"),
                                        "--threads", "1",
                                        "--set",     set("dir", directory_.string()),
                                        "--set",     set("name", name),
                                        "--set",     set("form", form)};
    if (resume) command.push_back("--resume");
    return command;
  }

  // Kills the child once the metrics file has so many lines of the stage; true when it was killed in time.
  static bool kill_in_stage(pid_t child, const fs::path& metrics, const std::string& stage, size_t lines) {
    for (;;) {
      int status = 0;
      if (waitpid(child, &status, WNOHANG) == child) return false;
      size_t found = 0;
      std::ifstream file(metrics);
      for (std::string line; std::getline(file, line);)
        found += line.find("\"stage\":\"" + stage) != std::string::npos;
      if (found >= lines) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    return true;
  }

  static std::map<std::string, std::string> digests(const fs::path& model) {
    std::map<std::string, std::string> result;
    for (const auto& entry : fs::recursive_directory_iterator(model))
      if (entry.is_regular_file() && entry.path().extension() == ".safetensors")
        result[fs::relative(entry.path(), model).string()] = sha256_file(entry.path());
    return result;
  }

  static fs::path directory_;
};

fs::path ResumeTest::directory_;

TEST_F(ResumeTest, KilledInEveryPhaseEndsBitIdentical) {
  for (const std::string form : {"full", "lora"}) {
    ASSERT_EQ(wait_for(start(train_command("whole-" + form, form, false))), 0);
    const std::string name = "killed-" + form;
    const std::vector<std::pair<std::string, size_t>> kills = {
        {"warm_start", 2},  {"warm_start", 4},  {"router", 2},      {"router", 5},      {"phase1/chat", 3},
        {"phase1/text", 4}, {"phase2/chat", 5}, {"phase2/text", 3}, {"phase3/chat", 4}, {"phase3/text", 2}};
    std::set<std::string>
        killed;  // phases; two tries each, since a phase of a few milliseconds may end before the kill
    bool resume = false;
    for (const auto& [stage, lines] : kills) {
      const pid_t child = start(train_command(name, form, resume));
      if (kill_in_stage(child, directory_ / name / "metrics.jsonl", stage, lines))
        killed.insert(stage.substr(0, stage.find('/')));
      resume = fs::exists(directory_ / name / "run.json");
    }
    EXPECT_EQ(killed, (std::set<std::string>{"warm_start", "router", "phase1", "phase2", "phase3"}));
    ASSERT_EQ(wait_for(start(train_command(name, form, true))), 0);
    const auto whole = digests(directory_ / ("whole-" + form) / "model"),
               resumed = digests(directory_ / name / "model");
    EXPECT_GE(whole.size(), 7u);
    EXPECT_FALSE(fs::exists(directory_ / name / "model" / "tasks" / "poems"));
    EXPECT_EQ(whole, resumed) << form;
  }
}

TEST_F(ResumeTest, PretrainingResumesBitIdentical) {
  const auto command = [&](const std::string& out, bool resume) {
    std::vector<std::string> arguments = {"pretrain", path("base.toml"), "--threads",
                                          "1",        "--set",           "out=\"" + path(out) + "\""};
    if (resume) arguments.push_back("--resume");
    return arguments;
  };
  ASSERT_EQ(wait_for(start(command("base-whole", false))), 0);
  EXPECT_TRUE(kill_in_stage(start(command("base-killed", false)),
                            directory_ / "base-killed" / "metrics.jsonl", "pretrain", 6));
  ASSERT_EQ(wait_for(start(command("base-killed", true))), 0);
  EXPECT_EQ(digests(directory_ / "base-whole" / "model"), digests(directory_ / "base-killed" / "model"));
}

TEST_F(ResumeTest, RefusesAChangedConfigurationAndASecondRunInItsPlace) {
  EXPECT_TRUE(kill_in_stage(start(train_command("changed", "lora", false)),
                            directory_ / "changed" / "metrics.jsonl", "router", 2));
  fs::remove(directory_ / "log.txt");
  EXPECT_EQ(wait_for(start(train_command("changed", "lora", false))), 1);
  EXPECT_NE(read_file(directory_ / "log.txt").find("holds a run already"), std::string::npos);
  std::vector<std::string> changed = train_command("changed", "lora", true);
  changed.insert(changed.end(), {"--set", "seed=9"});
  EXPECT_EQ(wait_for(start(changed)), 1);
  EXPECT_NE(read_file(directory_ / "log.txt").find("seed differs"), std::string::npos);

  const std::string tasks = read_file(directory_ / "tasks.toml");
  write("tasks.toml", tasks + "[[task]]\nname = \"more\"\npoints = [\"logic\"]\n");
  EXPECT_EQ(wait_for(start(train_command("changed", "lora", true))), 1);
  write("tasks.toml", tasks);
  EXPECT_NE(read_file(directory_ / "log.txt").find("(tasks) differs"), std::string::npos);
}

}  // namespace
}  // namespace dmoerm
