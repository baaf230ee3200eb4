// dmoerm demo: the whole main job on the synthetic world.
#include <iostream>

#include "apps/dmoerm/commands.h"
#include "apps/dmoerm/run_flags.h"
#include "dmoerm/study/demo.h"

namespace dmoerm::app {

void add_demo_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "demo", "Train DMoERM and its baselines on a synthetic world; print a table, write a report");
  command->footer(
      "Example:\n  dmoerm demo --seeds 3 --out out/demo\nA demo that was interrupted goes on when it is "
      "started again.");
  auto options = std::make_shared<study::DemoOptions>();
  auto flags = std::make_shared<RunFlags>();
  command->add_option("--out", options->out, "folder of the runs and the report")->capture_default_str();
  command->add_option("--seeds", options->seeds, "number of seeds: the table shows mean and deviation")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--first-seed", options->first_seed, "the first of them")->capture_default_str();
  RunFlags::add_runtime_flags(*command, flags->runtime);
  command->callback([options, flags] {
    options->device = flags->start().device;
    const std::vector<study::DemoSeed> seeds = study::run_demo(*options);
    std::cout << study::demo_table(seeds);
    const auto report = options->out / "report.html";
    study::write_demo_report(report, *options, seeds);
    std::cout << "Report: " << report.string() << "\n";
  });
}

}  // namespace dmoerm::app
