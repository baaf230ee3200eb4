// Every configuration under examples/ and in docs/configuration.md is read by the program's own parsers.
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "dmoerm/core/file.h"
#include "dmoerm/label/measures.h"
#include "dmoerm/reward/import_model.h"
#include "dmoerm/study/study_config.h"
#include "dmoerm/train/pretrain.h"
#include "dmoerm/train/run_config.h"

namespace dmoerm {
namespace {

using train::PretrainConfig;
using train::RunConfig;

// Examples name files relative to the project's folder.
class Examples : public testing::Test {
 protected:
  void SetUp() override { fs::current_path(DMOERM_SOURCE); }
};

std::vector<fs::path> example_configurations() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator("examples"))
    if (entry.path().extension() == ".toml") files.push_back(entry.path());
  return files;
}

TEST_F(Examples, AreReadByTheirParsers) {
  size_t pretrain = 0, tasks = 0, imports = 0, runs = 0, studies = 0;
  for (const fs::path& file : example_configurations()) {
    SCOPED_TRACE(file);
    const std::string name = file.filename();
    if (name == "pretrain.toml") {
      EXPECT_NO_THROW(train::load_pretrain_config(file));
      ++pretrain;
    } else if (name == "tasks.toml") {
      EXPECT_NO_THROW(data::load_task_points(file));
      ++tasks;
    } else if (name == "import.toml") {
      EXPECT_EQ(reward::load_import_config(file).parts.kind, "double_layer");
      ++imports;
    } else if (file.parent_path() == "examples/study" || name == "study.toml") {
      EXPECT_NO_THROW(study::load_study_config(file));
      ++studies;
    } else {
      EXPECT_EQ(train::load_run_config(file).kind, name == "single.toml" ? "single" : "double_layer");
      ++runs;
    }
  }
  EXPECT_GE(pretrain, 2u);
  EXPECT_GE(tasks, 2u);
  EXPECT_GE(imports, 1u);
  EXPECT_GE(runs, 4u);
  EXPECT_GE(studies, 3u);
}

TEST_F(Examples, NamePointsThatTheMeasuringJudgeKnows) {
  for (const fs::path& file : example_configurations()) {
    if (file.filename() != "tasks.toml") continue;
    for (const data::TaskPoints& task : data::load_task_points(file))
      for (const std::string& point : task.points)
        EXPECT_NE(label::find_measure(point), nullptr) << file << ": " << task.name << ": " << point;
  }
}

TEST_F(Examples, RmbCoversEveryTaskAndTakesItsFoldersFromVariables) {
  const RunConfig run = train::load_run_config("examples/rmb/train.toml", {"vars.data=/d", "vars.out=/o"});
  EXPECT_EQ(run.data.at(0).files.at(0), "/d/train.jsonl.gz");
  EXPECT_EQ(run.base, "/o/base/model");
  for (const char* task :
       {"harmlessness", "open_qa", "reasoning", "code", "closed_qa", "translation", "chat", "summarization",
        "role_playing", "generation", "rewrite", "classification", "brainstorming"})
    EXPECT_NE(data::find_task(run.tasks, task), nullptr) << task;
  const RunConfig single =
      train::load_run_config("examples/rmb/single.toml", {"vars.data=/d", "vars.out=/o"});
  EXPECT_EQ(single.base, run.base);
  EXPECT_EQ(single.data.at(0).files, run.data.at(0).files);
  EXPECT_EQ(single.encode.max_tokens, run.encode.max_tokens);
  const PretrainConfig base = train::load_pretrain_config("examples/rmb/pretrain.toml", {"vars.out=/o"});
  EXPECT_EQ(base.out / "model", run.base);
  EXPECT_EQ(base.chat_format, run.encode.chat_format);
}

// The TOML blocks of a Markdown file.
std::vector<std::string> toml_blocks(const fs::path& file) {
  std::vector<std::string> blocks;
  std::istringstream lines(read_file(file));
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line == "```toml")
      blocks.emplace_back();
    else if (inside && line != "```")
      blocks.back() += line + "\n";
    inside = line == "```toml" || (inside && line != "```");
  }
  return blocks;
}

std::string text_of(const train::TrainOptions& o) {
  return fmt::format("{} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {}", o.epochs, o.max_steps, o.batch, o.lr,
                     o.beta1, o.beta2, o.eps, o.weight_decay, o.clip, o.schedule.kind,
                     o.schedule.warmup_share, o.schedule.final_share, o.eval_every, o.patience, o.keep_best,
                     o.checkpoint_seconds);
}

std::string text_of(const models::LoraOptions& o) {
  return fmt::format("{} {} {} {} {}", o.rank, o.alpha, o.dropout, o.rslora,
                     fmt::join(o.target_modules, ","));
}

std::string text_of(const train::PreferenceStage& stage) {
  const train::PreferenceOptions& o = stage.preference;
  return fmt::format("{} | {} {} {} {} {} | {} {} {}", text_of(stage.train), o.token_budget,
                     o.label_smoothing, o.centering, o.share_prefix, o.early_stop, o.router_loss.balance,
                     o.router_loss.z, static_cast<int>(o.router_loss.scope));
}

std::string text_of(const RunConfig& run) {
  std::string text =
      fmt::format("{} {} {} {} {} {}\n", run.kind, run.seed, run.encode.chat_format, run.encode.max_tokens,
                  static_cast<int>(run.encode.too_long), run.tasks.size());
  for (const train::DataSource& source : run.data)
    text +=
        fmt::format("data {} [{}] {} {}\n", source.weight, source.task, source.text_as_turn, source.skip_bad);
  text += fmt::format("split {} {}\n", run.split.phase1, run.split.held_out);
  text += fmt::format("router {} {} {} {}\n", run.router.form, run.router.held_out, text_of(run.router.train),
                      text_of(run.router.lora));
  text += fmt::format("phase1 {} {} {}\n", run.phase1_form, text_of(run.phase1), text_of(run.phase1_lora));
  text += fmt::format("phase2 {} {}\n", text_of(run.phase2), text_of(run.phase2_lora));
  const train::AggregatorOptions& aggregator = run.phase3.aggregator;
  text +=
      fmt::format("phase3 {} {} {} {} {} {}\n", run.phase3.start, aggregator.pull, aggregator.label_smoothing,
                  aggregator.centering, aggregator.early_stop, text_of(run.phase3.train));
  return text;
}

std::string text_of(const PretrainConfig& run) {
  const nn::DecoderConfig& model = run.model;
  return fmt::format("{} {} {} {} {} {}\nmodel {} {} {} {}\n{}\n{}", run.family, run.chat_format, run.seed,
                     run.sequence_length, run.token_budget, run.held_out, model.num_kv_heads, model.head_dim,
                     model.rotary.theta, model.tied_embeddings, run.data.at(0).max_characters,
                     text_of(run.train));
}

TEST_F(Examples, DocumentationShowsTheDefaults) {
  const auto blocks = toml_blocks("docs/configuration.md");
  ASSERT_EQ(blocks.size(), 3u);
  const std::string data = "[[data]]\nfiles = ['f']\n";
  const auto run = [](const std::string& text) {
    return text_of(train::parse_run_config(Config::parse(text)));
  };
  EXPECT_EQ(run(blocks[0]), run("out = 'o'\nbase = 'b'\nlabels = ['l']\n" + data));
  EXPECT_EQ(run(blocks[1]), run("kind = 'single'\nout = 'o'\nbase = 'b'\n" + data));
  const auto base = [](const std::string& text) {
    return text_of(train::parse_pretrain_config(Config::parse(text)));
  };
  EXPECT_EQ(base(blocks[2]),
            base("out = 'o'\ntokenizer = 't'\n[model]\nhidden_size = 64\nlayers = 2\nheads = 4\n"
                 "intermediate_size = 160\n[[data]]\nfile = 'f'\n"));
}

}  // namespace
}  // namespace dmoerm
