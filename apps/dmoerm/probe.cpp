// dmoerm model probe: states and outputs of single sequences, to compare with other programs.
#include <iostream>

#include "apps/dmoerm/commands.h"
#include "apps/dmoerm/run_flags.h"
#include "dmoerm/reward/probe.h"

namespace dmoerm::app {
namespace {

struct ProbeFlags {
  reward::ProbeOptions probe;
  std::filesystem::path input = "-";
  RuntimeOptions runtime;
};

void probe(ProbeFlags& flags) {
  flags.probe.load.device = init_runtime(flags.runtime);
  flags.probe.load.dtype = compute_dtype(flags.runtime, flags.probe.load.device);
  reward::probe_file(flags.probe, flags.input, [](std::string_view line) { std::cout << line; });
  std::cout.flush();
  if (!std::cout) fail("probe", "standard output cannot be written");
}

}  // namespace

void add_probe_command(CLI::App& model) {
  CLI::App* command = model.add_subcommand(
      "probe",
      "The last position's hidden state, with its logits or scores: one JSON line out for each line in");
  auto flags = std::make_shared<ProbeFlags>();
  command->add_option("--model", flags->probe.model, "Directory of a Hugging Face model")
      ->required()
      ->check(CLI::ExistingDirectory);
  command->add_option("--adapter", flags->probe.adapter, "PEFT adapter over it")
      ->check(CLI::ExistingDirectory);
  command
      ->add_option("--input", flags->input,
                   "Lines {\"ids\": [...]} or {\"text\": ...} (JSONL, .gz, .zst); - is standard input")
      ->capture_default_str();
  RunFlags::add_runtime_flags(*command, flags->runtime);
  command->footer("Example:\n  echo '{\"ids\": [1, 15, 27]}' | dmoerm model probe --model path/to/model");
  command->callback([flags] { probe(*flags); });
}

}  // namespace dmoerm::app
