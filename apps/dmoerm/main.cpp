// dmoerm: the program. It parses the command line, installs the sinks for messages and progress, and catches
// once.
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <string_view>

#include "apps/dmoerm/commands.h"
#include "apps/dmoerm/console.h"
#include "dmoerm/core/compat.h"

namespace {

// Not for help, nor for commands on text alone.
bool multiplies_matrices(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  return !command.empty() && command[0] != '-' && command != "data" && command != "label" &&
         command != "tokenizer";
}

// OpenMP's idle threads spin by default and take the cores from OpenBLAS's own threads: on two cores training
// is 2.8 times slower. The policy is read once, when the library is loaded, so the program starts itself
// again with it.
void let_idle_threads_sleep(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  setenv("OMP_WAIT_POLICY", "passive", 1);
  execv("/proc/self/exe", argv);
}

}  // namespace

int main(int argc, char** argv) {
  if (multiplies_matrices(argc, argv)) let_idle_threads_sleep(argv);
  using namespace dmoerm::app;
  CLI::App app{"dmoerm: train, evaluate and run double-layer mixture-of-experts reward models"};
  app.require_subcommand(1);
  app.set_version_flag("--version", "dmoerm " DMOERM_VERSION ", LibTorch " TORCH_VERSION);
  app.footer(
      "Example:\n  dmoerm demo\n  dmoerm train examples/train.toml\n  dmoerm score --model out/model --input "
      "answers.jsonl");
  install_console();
  add_demo_command(app);
  add_study_command(app);
  add_bon_command(app);
  add_train_command(app);
  add_pretrain_command(app);
  add_tokenizer_command(app);
  add_label_command(app);
  add_data_command(app);
  add_eval_command(app);
  add_score_command(app);
  add_model_command(app);
  try {
    app.parse(argc, argv);
    std::cout.flush();
    if (!std::cout) dmoerm::fail("write", "standard output cannot be written");
  } catch (const CLI::Success& success) {  // --help, --version
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    std::cerr << "dmoerm: " << error.what() << "\nRun with --help for the usage.\n";
    return 2;
  } catch (const ExitStatus& status) {
    return status.code;
  } catch (const std::exception& error) {
    std::cerr << "dmoerm: " << one_line(error.what()) << "\n";
    return 1;
  }
  return 0;
}
