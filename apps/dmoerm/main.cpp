// dmoerm: the program. It parses the command line, installs the sinks for messages and progress, and catches
// once.
#include <exception>
#include <iostream>

#include "apps/dmoerm/commands.h"
#include "apps/dmoerm/console.h"

int main(int argc, char** argv) {
  using namespace dmoerm::app;
  CLI::App app{"dmoerm: train, evaluate and run double-layer mixture-of-experts reward models"};
  app.require_subcommand(1);
  app.footer(
      "Example:\n  dmoerm demo\n  dmoerm train examples/train.toml\n  dmoerm score --model out/model --input "
      "answers.jsonl");
  install_console();
  add_demo_command(app);
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
