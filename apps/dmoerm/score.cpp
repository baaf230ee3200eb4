// dmoerm score: rewards of answers as JSON lines.
#include <iostream>

#include "apps/dmoerm/commands.h"
#include "apps/dmoerm/console.h"
#include "apps/dmoerm/scorer_flags.h"
#include "dmoerm/core/file.h"
#include "dmoerm/core/log.h"
#include "dmoerm/reward/score_file.h"

namespace dmoerm::app {
namespace {

struct ScoreFlags {
  ScorerFlags model;
  std::filesystem::path input = "-", output = "-";
};

reward::ScoreFileResult run(reward::RecordScorer& scorer, const ScoreFlags& flags) {
  if (flags.output == "-") {
    const auto check = [] {
      if (!std::cout) fail("score", "standard output cannot be written");
    };
    const auto write = [&](std::string_view line) {
      std::cout << line;
      check();
    };
    const auto result = reward::score_file(scorer, flags.input, write, flags.model.reader);
    std::cout.flush();
    check();
    return result;
  }
  AtomicFile file(flags.output);
  const auto write = [&](std::string_view line) { file.write(line); };
  const auto result = reward::score_file(scorer, flags.input, write, flags.model.reader);
  file.commit();
  return result;
}

void report(const reward::RecordScorer& scorer, const reward::ScoreFileResult& result) {
  warn_of_changes(scorer);
  if (result.bad == 0) return;
  log().error("{} of {} lines could not be scored; each has its error in the output", result.bad,
              result.lines);
  throw ExitStatus{1};
}

}  // namespace

void add_score_command(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("score", "Score answers: one JSON line out for each line in that is not blank");
  auto flags = std::make_shared<ScoreFlags>();
  flags->model.add_to(*command);
  command->add_option("--input", flags->input, "Records (JSONL, .gz, .zst); - is standard input")
      ->capture_default_str();
  command->add_option("--output", flags->output, "File to write; - is standard output")
      ->capture_default_str();
  command->add_flag("--raw", flags->model.scorer.raw, "Rewards before the task's mean and deviation");
  command->footer(
      "Example:\n"
      "  echo '{\"prompt\": [{\"role\": \"user\", \"content\": \"Hi\"}], \"responses\": [\"Hello!\", "
      "\"No.\"]}' |\n"
      "    dmoerm score --model out/model");
  command->callback([flags] {
    auto scorer = flags->model.load();
    report(*scorer, run(*scorer, *flags));
  });
}

}  // namespace dmoerm::app
