// dmoerm demo: the whole main job on the synthetic world, beside the baselines that it has to beat.
#include <iostream>

#include "apps/dmoerm/commands.h"
#include "apps/dmoerm/run_flags.h"
#include "apps/dmoerm/study_output.h"

namespace dmoerm::app {
namespace {

struct DemoFlags {
  RunFlags run;
  std::filesystem::path out = "out/demo";
  int64_t seeds = 1;
  uint64_t first_seed = 1;
};

study::StudyConfig demo_study(const DemoFlags& flags) {
  study::StudyConfig study;
  study.out = flags.out;
  study.world.emplace();
  study.methods = {"single", "per_task", "human_only", "multi_objective", "linear", "dmoerm"};
  study.seeds.clear();
  for (int64_t i = 0; i < flags.seeds; ++i)
    study.seeds.push_back(flags.first_seed + static_cast<uint64_t>(i));
  return study;
}

}  // namespace

void add_demo_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "demo", "Train DMoERM and its baselines on a synthetic world; print a table, write a report");
  command->footer(
      "Example:\n  dmoerm demo --seeds 3 --out out/demo\nA demo that was interrupted goes on when it is "
      "started again.");
  auto flags = std::make_shared<DemoFlags>();
  command->add_option("--out", flags->out, "folder of the runs and the report")->capture_default_str();
  command->add_option("--seeds", flags->seeds, "number of seeds: the table shows mean and deviation")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--first-seed", flags->first_seed, "the first of them")->capture_default_str();
  RunFlags::add_runtime_flags(*command, flags->run.runtime);
  command->callback([flags] {
    const study::StudyConfig study = demo_study(*flags);
    const train::RunOptions options = flags->run.start();
    study::run_study(study, options.device, options.dtype);
    show_study(study);
  });
}

}  // namespace dmoerm::app
