// Studies from configuration to report on a tiny base: every method runs, what is finished is not made anew,
// numbers are those of the rewards.
#include <gmock/gmock.h>

#include <cmath>
#include <set>
#include <utility>

#include "dmoerm/data/split.h"
#include "dmoerm/reward/scorer.h"
#include "dmoerm/study/answer_pools.h"
#include "dmoerm/study/rewards.h"
#include "dmoerm/study/study_report.h"
#include "tests/study/two_task_fixture.h"

namespace dmoerm::study {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kTasks = R"(
[[task]]
name = "a"
points = ["first", "both"]
[[task]]
name = "b"
points = ["both", "second"]
)";

constexpr const char* kDoubleLayer = R"(
base = "${folder}/base"
out = "unused"
chat_format = "chatml"
max_tokens = 64
labels = ["${folder}/labels.jsonl"]
tasks = "${folder}/tasks.toml"
[vars]
folder = "?"
[[data]]
files = ["${folder}/data.jsonl"]
[split]
held_out = 0.2
[router]
max_steps = 2
[phase1]
max_steps = 2
[phase2]
max_steps = 2
[phase3]
max_steps = 2
)";

constexpr const char* kSingle = R"(
kind = "single"
base = "${folder}/base"
out = "unused"
chat_format = "chatml"
max_tokens = 64
[vars]
folder = "?"
[[data]]
files = ["${folder}/data.jsonl"]
[train]
max_steps = 2
)";

class StudyTest : public train::TwoTaskTest {
 protected:
  StudyTest() {
    write_file_atomically(directory_ / "tasks.toml", kTasks);
    write_file_atomically(directory_ / "double.toml", kDoubleLayer);
    write_file_atomically(directory_ / "single.toml", kSingle);
    AtomicFile dev(directory_ / "dev.jsonl");
    LineReader lines(directory_ / "data.jsonl");
    std::string line;
    for (int i = 0; i < 40 && lines.next(line); ++i) dev.write(line + "\n");
    dev.commit();
  }

  StudyConfig load(const std::string& keys) const {
    const fs::path file = directory_ / "study.toml";
    write_file_atomically(file, fmt::format(R"(
out = "{0}/out"
double_layer = "{0}/double.toml"
single = "{0}/single.toml"
ensemble = 2
{1}
[vars]
folder = "{0}"
[[evaluation]]
name = "dev"
files = ["{0}/dev.jsonl"]
[[best_of_n]]
name = "dev"
files = ["{0}/dev.jsonl"]
)",
                                            directory_.string(), keys));
    return load_study_config(file);
  }

  static int64_t run(const StudyConfig& study) { return run_study(study, torch::kCPU, torch::kFloat32); }

  std::string error(const std::string& keys) const {
    try {
      load(keys);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
};

TEST_F(StudyTest, EveryMethodGivesRewardsAndARowOfTheTable) {
  const StudyConfig study = load("");
  EXPECT_EQ(study.methods.size(), all_methods().size());
  ASSERT_EQ(run(study), 0);
  const StudyResults results = collect_results(study);
  EXPECT_THAT(results.missing, testing::IsEmpty());
  ASSERT_EQ(results.settings.size(), 1u);
  const std::string text = to_text(results, study);
  for (const Method& method : all_methods()) EXPECT_THAT(text, HasSubstr(method.title));
  EXPECT_THAT(text, HasSubstr("the longer answer wins"));
  for (const MethodResult& method : results.settings[0].methods) {
    const SetMeasures& measures = method.seeds.at(0).sets.at("dev");
    EXPECT_GT(measures.accuracy, 0) << method.name;
    EXPECT_LT(measures.accuracy, 1) << method.name;
    EXPECT_EQ(measures.tasks.size(), 2u);
    const bool is_routed = std::isfinite(measures.routed);
    const bool expects_router = method.name != "single" && !method.name.starts_with("ensemble") &&
                                method.name != "one_inner" && method.name != "armorm";
    EXPECT_EQ(is_routed, expects_router) << method.name;
  }
  const std::string html = to_html(study_report(results, study));
  for (const char* part : {"Best-of-n", "Multi-task disturbance", "Calibration", "Phase 2, b", "Router: %"})
    EXPECT_THAT(html, HasSubstr(part));
}

TEST_F(StudyTest, AccuracyIsThatOfTheKeptRewards) {
  const StudyConfig study = load("methods = [\"single\"]\nreference = \"single\"");
  ASSERT_EQ(run(study), 0);
  const StudyCell cell(study, study.conditions()[0], torch::kCPU, torch::kFloat32);
  reward::Scorer scorer = reward::Scorer::load(cell.directory() / "single" / "model");
  metrics::PairCount expected;
  data::PreferenceReader reader({directory_ / "dev.jsonl"});
  for (data::PreferenceRecord record; reader.next(record);) {
    const auto count = metrics::count_pairs(scorer.score({&record, 1})[0].rewards, record.ranks);
    expected.right += count.right;
    expected.pairs += count.pairs;
  }
  const StudyResults results = collect_results(study);
  EXPECT_NEAR(results.settings[0].methods[0].seeds[0].sets.at("dev").accuracy, expected.accuracy(), 1e-9);
}

TEST_F(StudyTest, WhatIsFinishedIsNotMadeAnew) {
  const StudyConfig study = load("methods = [\"single\"]\nreference = \"single\"");
  ASSERT_EQ(run(study), 0);
  const StudyCell cell(study, study.conditions()[0], torch::kCPU, torch::kFloat32);
  const MethodRun method(cell, find_method("single"));
  const auto written = fs::last_write_time(method.facts_file());
  ASSERT_EQ(run(study), 0);
  EXPECT_EQ(fs::last_write_time(method.facts_file()), written);
  // Other data are another cell.
  std::ofstream(directory_ / "data.jsonl", std::ios::app) << read_file(directory_ / "dev.jsonl");
  const StudyCell changed(study, study.conditions()[0], torch::kCPU, torch::kFloat32);
  EXPECT_NE(changed.directory(), cell.directory());
  // Other evaluation data are scored anew.
  write_file_atomically(directory_ / "dev.jsonl",
                        read_file(directory_ / "dev.jsonl") + read_file(directory_ / "dev.jsonl"));
  EXPECT_FALSE(method.finished());
}

TEST_F(StudyTest, AnEnsembleIsScoredAnewWithOtherMembersOrLambda) {
  StudyConfig study = load("methods = [\"single\"]\nreference = \"single\"");
  const StudyCell cell(study, study.conditions()[0], torch::kCPU, torch::kFloat32);
  const std::vector<std::string> names = {"single", "ensemble_mean", "ensemble_worst",
                                          "ensemble_uncertainty"};
  std::map<std::string, fs::path> before;
  const auto changed = [&] {
    std::vector<std::string> result;
    for (const std::string& name : names) {
      const fs::path file = MethodRun(cell, find_method(name)).rewards_file(cell.evaluations()[0]);
      if (std::exchange(before[name], file) != file) result.push_back(name);
    }
    return result;
  };
  EXPECT_EQ(changed(), names);
  study.ensemble_lambda *= 2;
  EXPECT_THAT(changed(), testing::ElementsAre("ensemble_uncertainty"));
  study.ensemble += 1;
  EXPECT_THAT(changed(), testing::ElementsAre("ensemble_mean", "ensemble_worst", "ensemble_uncertainty"));
}

TEST_F(StudyTest, LabelsAreOfTheRecordsAsTheRunReadsThem) {
  AtomicFile data(directory_ / "other.jsonl");
  LineReader lines(directory_ / "data.jsonl");
  for (std::string line; lines.next(line);) {
    Json row = parse_json(line, "data");
    row["task"] = "unknown";
    row["prompt"] = row["prompt"][0]["content"];
    data.write(row.dump() + "\n");
  }
  data.write("{}\n");
  data.commit();
  std::string config = kDoubleLayer;
  const std::string files = "files = [\"${folder}/data.jsonl\"]";
  config.replace(config.find(files), files.size(),
                 "files = [\"${folder}/other.jsonl\"]\ntask = \"a\"\ntext = \"turn\"\nskip_bad = true");
  write_file_atomically(directory_ / "double.toml", config);
  const StudyConfig study = load("");
  StudyCell cell(study, study.conditions()[0], torch::kCPU, torch::kFloat32);
  cell.prepare();
  std::set<std::string> labelled;
  LineReader labels(cell.human_labels());
  for (std::string line; labels.next(line);) {
    const Json label = parse_json(line, "labels");
    EXPECT_EQ(label.at("task"), "a");
    labelled.insert(label.at("id"));
  }
  EXPECT_GT(std::ssize(labelled), kRecords / 2);
}

TEST_F(StudyTest, ConditionsChangeTheTrainingRecords) {
  const StudyConfig study =
      load("methods = [\"single\"]\nreference = \"single\"\nsizes = [0.5]\nrank_noise = [0.25]");
  StudyCell cell(study, study.conditions()[0], torch::kCPU, torch::kFloat32);
  cell.prepare();
  std::map<std::string, std::vector<int64_t>> before;
  data::PreferenceReader all({directory_ / "data.jsonl"}), kept({cell.directory() / "train.jsonl"});
  for (data::PreferenceRecord record; all.next(record);) before[record.id] = record.ranks;
  double records = 0, turned = 0, ranked = 0;
  for (data::PreferenceRecord record; kept.next(record);) {
    records += 1;
    const auto& ranks = before.at(record.id);
    if (std::ranges::max(ranks) == std::ranges::min(ranks)) continue;
    ranked += 1;
    turned += record.ranks != ranks;
  }
  EXPECT_NEAR(records / kRecords, 0.5, 0.15);
  EXPECT_NEAR(turned / ranked, 0.25, 0.12);
}

TEST_F(StudyTest, CellsOfASeedAndConflictShareTheirWorld) {
  StudyConfig study;
  study.out = directory_ / "out";
  study.world.emplace();
  const auto cell = [&](const Condition& condition) {
    return StudyCell(study, condition, torch::kCPU, torch::kFloat32);
  };
  const StudyCell plain = cell({1, 1, 0, 1}), part = cell({1, 0.25, 0, 1}), noisy = cell({1, 1, 0.2, 1});
  for (const StudyCell* other : {&part, &noisy}) {
    EXPECT_NE(other->directory(), plain.directory());
    EXPECT_EQ(other->double_layer("run").base, plain.double_layer("run").base);
    EXPECT_EQ(other->single("run").base, plain.double_layer("run").base);
    EXPECT_EQ(other->evaluations()[0].files, plain.evaluations()[0].files);
    EXPECT_NE(other->double_layer("run").labels, plain.double_layer("run").labels);
    EXPECT_NE(other->double_layer("run").data[0].files, plain.double_layer("run").data[0].files);
  }
  for (const Condition& other : {Condition{2, 1, 0, 1}, Condition{1, 1, 0, 0.5}})
    EXPECT_NE(cell(other).double_layer("run").base, plain.double_layer("run").base);
  // What is only measured on is another file for the same models.
  study.world->test += 1;
  const StudyCell more = cell({1, 1, 0, 1});
  EXPECT_NE(more.evaluations()[0].files, plain.evaluations()[0].files);
  EXPECT_EQ(more.directory(), plain.directory());
  EXPECT_EQ(more.double_layer("run").base, plain.double_layer("run").base);
  study.world->train += 1;
  EXPECT_NE(cell({1, 1, 0, 1}).directory(), plain.directory());
  EXPECT_NE(cell({1, 1, 0, 1}).double_layer("run").base, plain.double_layer("run").base);
}

TEST_F(StudyTest, OtherEvaluationSizesLeaveAWorldsTrainingData) {
  data::WorldSizes sizes{.train = 20, .validation = 0, .test = 2, .pretraining = 100, .pool_prompts = 0};
  const StudyWorld few(directory_, sizes, 1, 1);
  for (const char* made : {"tokenizer", "base/model"}) fs::create_directories(few.directory() / made);
  few.prepare(torch::kCPU, torch::kFloat32);
  const fs::path train = few.directory() / "world" / "train.jsonl";
  const auto written = fs::last_write_time(train);
  const std::string records = read_file(few.evaluation(kWorldTest));
  sizes.test = 3;
  sizes.pool_prompts = 1;
  sizes.pool_answers = 6;
  const StudyWorld more(directory_, sizes, 1, 1);
  EXPECT_FALSE(fs::exists(more.evaluation(kWorldTest)));
  more.prepare(torch::kCPU, torch::kFloat32);
  EXPECT_EQ(more.directory(), few.directory());
  EXPECT_EQ(fs::last_write_time(train), written);
  EXPECT_EQ(read_file(few.evaluation(kWorldTest)), records);
  EXPECT_TRUE(read_file(more.evaluation(kWorldTest)).starts_with(records));
  EXPECT_GT(fs::file_size(more.evaluation(kWorldTest)), records.size());
  EXPECT_GT(fs::file_size(more.evaluation(kWorldPool)), 0u);
}

TEST_F(StudyTest, ADtypeIsOneForAWholeStudy) {
  const std::string single = "methods = [\"single\"]\nreference = \"single\"";
  ASSERT_EQ(run(load(single)), 0);
  EXPECT_EQ(run_study(load(single), torch::kCPU, torch::kBFloat16), 0);  // there is nothing to run
  const StudyConfig more = load(single + "\nseeds = [1, 2]");
  try {
    run_study(more, torch::kCPU, torch::kBFloat16);
    ADD_FAILURE() << "the second seed ran in another dtype";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("was begun with --dtype float32, found bfloat16"));
  }
  EXPECT_EQ(run(more), 0);
}

TEST_F(StudyTest, AWarmStartIsForEveryMethodThatTrainsTheBase) {
  write_file_atomically(directory_ / "double.toml",
                        std::string(kDoubleLayer) + "[warm_start]\nmax_steps = 2\n");
  const StudyConfig study = load(
      "methods = [\"human_only\", \"multi_objective\", \"one_inner\", \"armorm\", \"other_form\", "
      "\"dmoerm\"]");
  ASSERT_EQ(run(study), 0);
  const fs::path cell = StudyCell(study, study.conditions()[0], torch::kCPU, torch::kFloat32).directory();
  const auto lines = [&](const std::string& run) {  // by stage
    std::map<std::string, int> counts;
    for (const Json& line : metrics(cell / run)) ++counts[line.at("stage")];
    return counts;
  };
  const int once = lines("dmoerm").at("warm_start");
  for (const char* run : {"human-only", "multi-objective", "other_form"})
    EXPECT_EQ(lines(run)["warm_start"], once) << run;
  for (const char* run : {"one-inner", "armorm"}) EXPECT_EQ(lines(run).count("warm_start"), 0u) << run;
  // Stages that both have, each once: those up to phase 1 are DMoERM's, the others its own.
  EXPECT_EQ(lines("human-only"), lines("dmoerm"));
}

TEST_F(StudyTest, SetsAreReportedInTheStudysOrder) {
  write_file_atomically(directory_ / "other.jsonl", read_file(directory_ / "dev.jsonl"));
  const StudyConfig study =
      load("methods = [\"single\"]\nreference = \"single\"\n[[evaluation]]\nname = \"zz\"\nfiles = [\"" +
           (directory_ / "other.jsonl").string() + "\"]");
  ASSERT_EQ(run(study), 0);
  const StudyResults results = collect_results(study);
  const std::string text = to_text(results, study);
  EXPECT_LT(text.find("Accuracy on zz"), text.find("Accuracy on dev"));
  EXPECT_THAT(to_html(study_report(results, study)), HasSubstr("On zz, the highest accuracy"));
}

TEST_F(StudyTest, SetsMayHoldTextThatIsATurn) {
  EXPECT_FALSE(load("").evaluations[0].reader_options().text_as_turn);
  const fs::path file = directory_ / "study.toml";
  std::string text = read_file(file);
  for (size_t at = 0; (at = text.find("files = ", at)) != std::string::npos; at += 20)
    text.insert(at, "text = \"turn\"\n");
  write_file_atomically(file, text);
  const StudyConfig study = load_study_config(file);
  EXPECT_TRUE(study.evaluations[0].reader_options().text_as_turn);
  EXPECT_TRUE(study.pools[0].reader_options().text_as_turn);
}

TEST_F(StudyTest, ASetOfTiesIsSaidToHoldNone) {
  AtomicFile ties(directory_ / "ties.jsonl");
  LineReader lines(directory_ / "dev.jsonl");
  for (std::string line; lines.next(line);) {
    Json row = parse_json(line, "dev");
    row["ranks"] = {1, 1, 1};
    ties.write(row.dump() + "\n");
  }
  ties.commit();
  const StudyConfig study =
      load(fmt::format("methods = [\"single\", \"ensemble_mean\"]\nreference = \"single\"\nseeds = [1, 2]\n"
                       "[[evaluation]]\nname = \"ties\"\nfiles = [\"{}/ties.jsonl\"]",
                       directory_.string()));
  ASSERT_EQ(run(study), 0);
  const StudyResults results = collect_results(study);
  EXPECT_THAT(study_report(results, study).intro, HasSubstr("ties holds no two answers of different rank"));
  EXPECT_THAT(to_text(results, study), Not(HasSubstr("nan")));
}

TEST_F(StudyTest, AMethodThatFailsIsSaidAndTheOthersGoOn) {
  write_file_atomically(directory_ / "labels.jsonl", "");
  const StudyConfig study = load("methods = [\"dmoerm\", \"single\"]\nreference = \"single\"");
  EXPECT_EQ(run(study), 1);
  const StudyResults results = collect_results(study);
  ASSERT_EQ(results.missing.size(), 1u);
  EXPECT_THAT(results.missing[0], HasSubstr("no kept label"));
  EXPECT_EQ(results.settings[0].methods.size(), 1u);
  EXPECT_THAT(to_html(study_report(results, study)), HasSubstr("Not finished"));
}

TEST_F(StudyTest, PairedDifferencesAndFiles) {
  const StudyConfig study = load("methods = [\"single\", \"sum\", \"dmoerm\"]\nseeds = [1, 2]");
  ASSERT_EQ(run(study), 0);
  const StudyResults results = collect_results(study);
  const SettingResult& setting = results.settings[0];
  const Comparison found =
      compare(*setting.find("single"), setting.find("dmoerm"), "dev", &SetMeasures::accuracy);
  const auto single = setting.find("single")->values("dev", &SetMeasures::accuracy);
  const auto dmoerm = setting.find("dmoerm")->values("dev", &SetMeasures::accuracy);
  EXPECT_NEAR(found.difference.difference.mean, (single[0] - dmoerm[0] + single[1] - dmoerm[1]) / 2, 1e-12);
  const Json json = to_json(results, study);
  EXPECT_EQ(json["settings"][0]["methods"].size(), 3u);
  EXPECT_NEAR(json["settings"][0]["methods"][0]["summary"]["dev"]["accuracy"].get<double>(),
              (single[0] + single[1]) / 2, 1e-12);
  const std::string csv = to_csv(results);
  EXPECT_THAT(csv, HasSubstr(fmt::format(",single,2,dev,,accuracy,{}\r\n", single[1])));
  EXPECT_THAT(csv, HasSubstr(",sum,1,dev,a,accuracy,"));
  EXPECT_THAT(csv, HasSubstr(",dmoerm,1,dev,,gold_best_of_3,"));
}

TEST_F(StudyTest, MistakesOfTheConfigurationAreNamed) {
  EXPECT_THAT(error("methods = [\"dmoer\"]"), HasSubstr("did you mean \"dmoerm\""));
  EXPECT_THAT(error("reference = \"x\""), HasSubstr("reference is \"x\", expected one of the methods"));
  EXPECT_THAT(error("methods = [\"single\"]"),
              HasSubstr("reference is \"dmoerm\", expected one of the methods: single"));
  EXPECT_THAT(error("sizes = [0]"), HasSubstr("numbers from 0.01 to 1"));
  EXPECT_THAT(error("seeds = [1, 1]"), HasSubstr("each number once"));
  EXPECT_THAT(error("seeds = [1.5]"), HasSubstr("whole numbers"));
  EXPECT_THAT(error("conflict = [0.5]"), HasSubstr("only a [world]"));
  EXPECT_THAT(error("sede = [1]"), HasSubstr("did you mean \"seeds\""));
  EXPECT_EQ(error(""), "");
  write_file_atomically(directory_ / "single.toml", std::string(kSingle) + "form = \"lora\"\n");
  const StudyConfig study = load("");
  try {
    make_cells(study, torch::kCPU, torch::kFloat32);
    ADD_FAILURE() << "no method could load the single model";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("train.form is \"lora\", expected \"full\""));
  }
}

TEST_F(StudyTest, PoolsJoinTheRecordsOfAPrompt) {
  std::ofstream(directory_ / "pool.jsonl")
      << R"({"prompt": [{"role": "user", "content": "x"}], "responses": ["a", "b"], "gold": [1, 2]})"
      << "\n"
      << R"({"prompt": [{"role": "user", "content": "y"}], "responses": ["c", "e"], "gold": [3, 5]})"
      << "\n"
      << R"({"prompt": [{"role": "user", "content": "x"}], "responses": ["d"], "gold": [4]})"
      << "\n";
  const StudyConfig study =
      load(fmt::format("methods = [\"single\"]\nreference = \"single\"\n"
                       "[[best_of_n]]\nname = \"gold\"\nfiles = [\"{}/pool.jsonl\"]",
                       directory_.string()));
  ASSERT_EQ(run(study), 0);
  const StudyCell cell(study, study.conditions()[0], torch::kCPU, torch::kFloat32);
  reward::Scorer scorer = reward::Scorer::load(cell.directory() / "single" / "model");
  const auto pools = score_pools(scorer, {directory_ / "pool.jsonl"});
  ASSERT_EQ(pools.size(), 2u);
  EXPECT_THAT(pools[0].gold, testing::ElementsAre(1, 2, 4));
  EXPECT_EQ(pools[0].proxy.size(), 3u);
  EXPECT_THAT(pools[1].gold, testing::ElementsAre(3, 5));
  // The study's own are the same.
  const StudyResults results = collect_results(study);
  const auto& curve = results.settings[0].methods[0].seeds[0].pools.at("gold").curve;
  const auto expected = metrics::best_of_n_curve(pools);
  ASSERT_EQ(curve.size(), 2u);
  ASSERT_EQ(expected.size(), curve.size());
  for (size_t i = 0; i < curve.size(); ++i) EXPECT_NEAR(curve[i].gold, expected[i].gold, 1e-9);
}

TEST(GoldValues, AreTheBestRankWhereGoldIsUnknown) {
  EvaluationRecord record;
  record.ranks = {2, 1, 1};
  EXPECT_THAT(gold_values(record), testing::ElementsAre(0, 1, 1));
  record.gold = {0.5, 0.25, 0};
  EXPECT_THAT(gold_values(record), testing::ElementsAre(0.5, 0.25, 0));
}

}  // namespace
}  // namespace dmoerm::study
