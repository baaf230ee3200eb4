// dmoerm pretrain: a base from text.
#include <iostream>

#include "apps/dmoerm/commands.h"
#include "apps/dmoerm/run_flags.h"
#include "dmoerm/train/pretrain.h"

namespace dmoerm::app {

void add_pretrain_command(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("pretrain", "Train a small base (a causal language model) from text");
  command->footer("Example:\n  dmoerm pretrain examples/pretrain.toml");
  auto flags = std::make_shared<RunFlags>();
  flags->add_to(*command);
  command->callback([flags] {
    const train::PretrainConfig config = train::load_pretrain_config(flags->config, flags->overrides);
    train::pretrain(config, flags->start());
    std::cout << (config.out / "model").string() << "\n";
  });
}

}  // namespace dmoerm::app
