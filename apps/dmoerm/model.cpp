// dmoerm model: look into a model, take parts out of it, put one together from parts.
#include <iostream>

#include "apps/dmoerm/commands.h"
#include "apps/dmoerm/console.h"
#include "apps/dmoerm/run_flags.h"
#include "dmoerm/core/log.h"
#include "dmoerm/reward/export_model.h"
#include "dmoerm/reward/import_model.h"
#include "dmoerm/reward/model_summary.h"

namespace dmoerm::app {
namespace {

struct InspectFlags {
  std::filesystem::path model;
  bool verify = false, json = false;
};

struct ExportFlags {
  std::filesystem::path model, out;
  reward::ExpertChoice choice;
  std::string form;
};

struct ImportFlags {
  std::filesystem::path config, out;
  std::vector<std::string> overrides;
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

void export_part(const ExportFlags& flags) {
  const auto model = reward::DoubleLayerModel::load(flags.model);
  if (flags.form == "model") {
    if (!flags.choice.point.empty()) fail("export", "--expert goes with --as adapter or --as classifier");
    reward::export_task(model, flags.choice.task, flags.out);
  } else if (flags.form == "adapter") {
    reward::export_adapter(model, flags.model, flags.choice, flags.out);
  } else {
    reward::export_classifier(model, flags.choice, flags.out);
  }
  if (flags.form != "model")
    log().info("it scores as the expert alone, raw: without the task's aggregator, mean and deviation");
  std::cout << flags.out.string() << "\n";
}

void add_inspect(CLI::App& model) {
  CLI::App* command =
      model.add_subcommand("inspect", "Parts, shapes and parameters; loading checks the whole structure");
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

void add_export(CLI::App& model) {
  CLI::App* command = model.add_subcommand("export", "Write one expert or one task as a folder of its own");
  auto flags = std::make_shared<ExportFlags>();
  command->add_option("model", flags->model, "Directory of a dmoerm model")
      ->required()
      ->check(CLI::ExistingDirectory);
  command
      ->add_option(
          "--as", flags->form,
          "adapter: an expert as a PEFT folder over the model's base; classifier: an expert merged into "
          "its base, a Hugging Face sequence classifier; model: a task as a dmoerm model")
      ->required()
      ->check(CLI::IsMember({"adapter", "classifier", "model"}));
  command->add_option("--task", flags->choice.task, "Task, where the model has several");
  command->add_option("--expert", flags->choice.point,
                      "Capability point, where the task has several experts");
  command->add_option("--out", flags->out, "Directory to write; it must not exist yet")->required();
  command->footer(
      "Rewards keep the task's mean and deviation in a model only: an adapter and a classifier give the "
      "expert's\n"
      "raw scores. The base itself is a Hugging Face folder already: base/ inside the model.\n"
      "Example:\n"
      "  dmoerm model export out/model --as classifier --task chat --expert empathy --out out/empathy");
  command->callback([flags] { export_part(*flags); });
}

void add_import(CLI::App& model) {
  CLI::App* command =
      model.add_subcommand("import", "Put a model together from a base, PEFT adapters and aggregators");
  auto flags = std::make_shared<ImportFlags>();
  command->add_option("config", flags->config, "TOML file that lists the parts (docs/formats.md)")
      ->required()
      ->check(CLI::ExistingFile);
  command->add_option("--out", flags->out, "Directory to write; it must not exist yet")->required();
  RunFlags::add_overrides(*command, flags->overrides);
  command->footer("Example:\n  dmoerm model import examples/import.toml --out out/model");
  command->callback([flags] {
    reward::import_model(reward::load_import_config(flags->config, flags->overrides), flags->out);
    std::cout << flags->out.string() << "\n";
  });
}

}  // namespace

void add_model_command(CLI::App& app) {
  CLI::App* model = app.add_subcommand("model", "Look into models, take them apart, put them together");
  model->require_subcommand(1);
  model->footer("Example:\n  dmoerm model inspect out/model --verify");
  add_inspect(*model);
  add_export(*model);
  add_import(*model);
  add_probe_command(*model);
}

}  // namespace dmoerm::app
