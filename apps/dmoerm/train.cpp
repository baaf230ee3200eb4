// dmoerm train: a double-layer or single reward model from a TOML configuration.
#include <iostream>

#include "apps/dmoerm/commands.h"
#include "apps/dmoerm/run_flags.h"

namespace dmoerm::app {

void add_train_command(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("train", "Train a reward model: router and phases 1, 2, 3, or a single model");
  command->footer("Example:\n  dmoerm train examples/train.toml --set seed=2 --set out=runs/seed2");
  auto flags = std::make_shared<RunFlags>();
  flags->add_to(*command);
  command->callback([flags] {
    const train::RunConfig config = train::load_run_config(flags->config, flags->overrides);
    const train::RunOptions options = flags->start();
    if (config.kind == "single") {
      train::train_single(config, options);
    } else {
      train::train_double_layer(config, options);
    }
    std::cout << (config.out / "model").string() << "\n";
  });
}

}  // namespace dmoerm::app
