// Stages that one run takes over from another.
#include "dmoerm/train/run_directory.h"

#include <gmock/gmock.h>

#include "tests/train/train_fixture.h"

namespace dmoerm::train {
namespace {

class CopiedStages : public TrainTest {
 protected:
  // A line of metrics, then the stage's state.
  static void finish(RunDirectory& run, const std::string& stage) {
    run.append_metrics({{"stage", stage}, {"lane", "x"}});
    run.save_stage(stage, {{"value", torch::full({2}, static_cast<double>(stage.size()))}},
                   {{"finished", true}});
  }

  std::vector<std::string> stages_of_metrics(const std::string& run) const {
    std::vector<std::string> stages;
    for (const Json& line : metrics(directory_ / run)) stages.push_back(line.at("stage"));
    return stages;
  }
};

TEST_F(CopiedStages, BringTheirOwnMetricsAlone) {
  {
    RunDirectory run(directory_ / "from", false);
    run.begin({{"test", 1}});
    for (const char* stage : {"router", "phase1/a", "phase2/a", "phase1/bb", "phase2/bb"}) finish(run, stage);
  }
  // A stage that the run does not have is left out.
  copy_stages(directory_ / "from", directory_ / "to", {"warm_start", "router", "phase1/a", "phase1/bb"});
  {
    RunDirectory run(directory_ / "to", false);
    run.begin({{"test", 2}});
    EXPECT_FALSE(run.load_stage("warm_start"));
    EXPECT_FALSE(run.load_stage("phase2/a"));
    const std::optional<StageState> copied = run.load_stage("phase1/bb");
    ASSERT_TRUE(copied);
    EXPECT_EQ(copied->tensors.at("value").sum().item<double>(), 2 * 9);
    EXPECT_EQ(copied->description, Json({{"finished", true}}));
    finish(run, "phase2/a");
    run.append_metrics({{"stage", "phase2/bb"}, {"lane", "x"}});  // and then it is killed
  }
  copy_stages(directory_ / "from", directory_ / "to", {"phase2/bb"});  // too late
  RunDirectory run(directory_ / "to", true);
  run.begin({{"test", 2}});
  EXPECT_FALSE(run.load_stage("phase2/bb"));
  EXPECT_THAT(stages_of_metrics("to"), testing::ElementsAre("router", "phase1/a", "phase1/bb", "phase2/a"));
}

}  // namespace
}  // namespace dmoerm::train
