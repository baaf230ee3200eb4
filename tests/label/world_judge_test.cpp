// The world's judge: its error and bias, and labelling files from end to end.
#include "dmoerm/label/world_judge.h"
#include "dmoerm/core/file.h"

#include <gmock/gmock.h>

#include "dmoerm/core/error.h"
#include "dmoerm/data/capability_labels.h"
#include "dmoerm/data/world_files.h"
#include "dmoerm/label/label_files.h"

namespace dmoerm::label {
namespace {

using data::PreferenceRecord;
using data::World;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// An untied pair: the judge names the first reply with probability 0.82 when it is better, 0.28 when it is
// worse.
TEST(WorldJudge, ErrsAndPrefersTheFirstReplyAsStated) {
  const World world;
  const WorldJudge judge;
  int64_t pairs = 0, kept = 0, right = 0, first = 0, ties = 0, ties_kept = 0;
  for (uint64_t i = 0; i < 80; ++i) {
    for (size_t task = 0; task < 5; ++task) {
      const PreferenceRecord record = world.exact_list(task, "judge", i);
      for (const std::string& point : world.tasks()[task].points) {
        for (const auto& [a, b] : pairs_to_judge(record, {})) {
          const Question ab{record, point, static_cast<size_t>(a), static_cast<size_t>(b)};
          const Question ba{record, point, static_cast<size_t>(b), static_cast<size_t>(a)};
          const bool ab_first = judge.judge(ab).choice == Choice::First;
          const bool ba_first = judge.judge(ba).choice == Choice::First;
          const bool tied = judge.tied(ab);
          (tied ? ties : pairs) += 1;
          if (!tied) first += ab_first + ba_first;
          if (ab_first == ba_first) continue;
          (tied ? ties_kept : kept) += 1;
          const auto quality = [&](size_t answer) {
            return World::quality(point, record.prompt_text, record.responses[answer][0].content);
          };
          if (!tied) right += ab_first == (quality(a) > quality(b));
        }
      }
    }
  }
  ASSERT_GT(pairs, 10000);
  EXPECT_NEAR(static_cast<double>(kept) / pairs, 0.82 * 0.72 + 0.18 * 0.28, 0.015);
  EXPECT_NEAR(static_cast<double>(right) / kept, 0.5904 / 0.6408, 0.012);
  EXPECT_NEAR(static_cast<double>(first) / (2 * pairs), 0.5 * (0.82 + 0.28), 0.01);
  EXPECT_NEAR(static_cast<double>(ties_kept) / ties, 2 * 0.55 * 0.45, 0.03);  // ties are drawn
}

class LabelFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::path(::testing::TempDir()) / "dmoerm_label_files";
    remove_tree(directory_);
    files_ =
        data::write_world(World(), directory_, {.train = 4, .validation = 0, .test = 0, .pretraining = 0});
  }
  void TearDown() override { remove_tree(directory_); }
  fs::path directory_;
  data::WorldFiles files_;
};

TEST_F(LabelFiles, LabelsEveryPointOfEveryTask) {
  LabelRun run{.data = {files_.train}, .out = directory_ / "labels.jsonl", .judge = "world"};
  run.options.votes = 3;
  const LabelSummary summary = label_files(run);
  EXPECT_EQ(summary.records, 20);
  EXPECT_EQ(summary.total.labels, 4 * 6 * 27);  // lists, pairs, points of all tasks
  EXPECT_EQ(summary.calls, summary.total.labels * 2 * 3);
  EXPECT_THAT(summary.to_text(), HasSubstr("viewpoint_richness"));
  EXPECT_EQ(label_files(run).calls, 0);
  const auto labels = data::CapabilityLabels::load({run.out});
  for (const data::TaskPoints& task : data::paper_tasks()) EXPECT_EQ(labels.points(task.name), task.points);
  EXPECT_EQ(labels.num_kept(), summary.total.kept);
}

TEST_F(LabelFiles, DropsTiesWhenAsked) {
  LabelRun run{
      .data = {files_.train}, .out = directory_ / "labels.jsonl", .points = {"question_overlap", "novelty"}};
  const LabelSummary all = label_files(run);
  run.out = directory_ / "untied.jsonl";
  run.options.drop_ties = true;
  const LabelSummary untied = label_files(run);
  EXPECT_GT(all.total.reasons.at("tie"), 0);
  EXPECT_EQ(untied.total.labels, all.total.labels - all.total.reasons.at("tie"));
  EXPECT_EQ(untied.total.kept, untied.total.labels);  // a measure never contradicts itself
}

TEST_F(LabelFiles, RefusesWhatItCannotDo) {
  const auto refuses = [&](LabelRun run, const std::string& message) {
    run.data = {files_.train};
    run.out = directory_ / "labels.jsonl";
    EXPECT_THAT([&] { label_files(run); }, ThrowsMessage<Error>(HasSubstr(message)));
  };
  refuses({.judge = "oracle"}, "no judge \"oracle\"");
  refuses({.judge = "builtin"}, "no measure \"character_setting_and_emotional_investment\"");
  refuses({.judge = "world", .points = {"wit"}}, "\"wit\" is not one of the world's");
  refuses({.tasks = "t.toml", .points = {"wit"}}, "not both");
  refuses({.tasks = directory_ / "none.toml"}, "none.toml");
  refuses({.points = {"novelty", "reasoning", "novelty"}}, "novelty, reasoning, novelty, expected each once");
  refuses({.points = {"novelty"}, .options = {.votes = 0}}, "votes is 0");
}

}  // namespace
}  // namespace dmoerm::label
