// dmoerm model inspect: what a model's directory holds, and whether it is as it was written.
#include <iostream>

#include "apps/dmoerm/commands.h"
#include "apps/dmoerm/console.h"
#include "dmoerm/reward/model_summary.h"

namespace dmoerm::app {
namespace {

struct InspectFlags {
  std::filesystem::path model;
  bool verify = false, json = false;
};

void verify(const std::filesystem::path& model) {
  const auto changed = reward::changed_files(model);
  for (const auto& file : changed) std::cout << "changed: " << file << "\n";
  if (!changed.empty()) throw ExitStatus{1};
}

void inspect(const InspectFlags& flags) {
  if (flags.verify) verify(flags.model);
  const auto model = reward::is_model_directory(flags.model) ? reward::DoubleLayerModel::load(flags.model)
                                                             : reward::load_classifier(flags.model, {{}, 0});
  Json summary = reward::summarize(model);
  if (flags.verify) summary["verified"] = true;
  std::cout << (flags.json ? dump_json(summary, 2) + "\n" : reward::summary_text(summary));
  if (flags.verify && !flags.json) std::cout << "all files are as they were written\n";
}

}  // namespace

void add_model_command(CLI::App& app) {
  CLI::App* model = app.add_subcommand("model", "Look into models");
  model->require_subcommand(1);
  model->footer("Example:\n  dmoerm model inspect out/model --verify");
  CLI::App* command =
      model->add_subcommand("inspect", "Parts, shapes and parameters; loading checks the whole structure");
  auto flags = std::make_shared<InspectFlags>();
  command
      ->add_option("model", flags->model,
                   "Directory of a dmoerm model or of a Hugging Face sequence classifier")
      ->required()
      ->check(CLI::ExistingDirectory);
  command->add_flag("--verify", flags->verify,
                    "Compare every file with its digest; names what differs, exit status 1");
  command->add_flag("--json", flags->json, "Print JSON");
  command->footer("Example:\n  dmoerm model inspect out/model --verify");
  command->callback([flags] { inspect(*flags); });
}

}  // namespace dmoerm::app
