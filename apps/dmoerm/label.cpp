// dmoerm label: capability labels for preference data, from a judge asked in both orders.
#include <iostream>

#include "apps/dmoerm/commands.h"
#include "dmoerm/label/label_files.h"

namespace dmoerm::app {

void add_label_command(CLI::App& app) {
  auto run = std::make_shared<label::LabelRun>();
  auto text = std::make_shared<std::string>("raw");
  CLI::App* command =
      app.add_subcommand("label", "Make capability labels: which of two answers is better in a point");
  command->add_option("--data", run->data, "Preference files (JSONL, .gz, .zst)")->required();
  command->add_option("--out", run->out, "LABELS.jsonl; what it holds already is not asked again")
      ->required();
  command->add_option("--judge", run->judge, "builtin: measures text; world: knows the synthetic world")
      ->capture_default_str();
  command->add_option("--tasks", run->tasks,
                      "Tasks file: which points belong to which task (default: the paper's)");
  command->add_option("--points", run->points, "The same points for every task, instead of --tasks")
      ->delimiter(',');
  command->add_option("--votes", run->options.votes, "Calls for each order; the majority counts")
      ->capture_default_str();
  command->add_option("--max-pairs", run->options.max_pairs, "Pairs of a record, chosen by --seed; 0: all")
      ->capture_default_str();
  command->add_flag("--drop-rank-ties", run->options.drop_rank_ties, "Skip pairs that people ranked equal");
  command->add_flag("--drop-ties", run->options.drop_ties,
                    "Skip pairs that the judge knows to be equal in a point");
  command->add_option("--seed", run->options.seed, "Seed of the choice of pairs and of the world's judge")
      ->capture_default_str();
  command->add_option("--text", *text, "A text prompt is raw text that answers continue, or a user turn")
      ->check(CLI::IsMember({"raw", "turn"}))
      ->capture_default_str();
  command->add_flag("--skip-bad", run->reader.skip_bad, "Skip bad lines instead of stopping");
  command->footer(
      "Example:\n  dmoerm label --data train.jsonl --judge builtin --points readability,empathy --out "
      "labels.jsonl\n"
      "  dmoerm label --data train.jsonl.gz --tasks examples/label/tasks.toml --out labels.jsonl");
  command->callback([run, text] {
    run->reader.text_as_turn = *text == "turn";
    std::cout << label::label_files(*run).to_text();
  });
}

}  // namespace dmoerm::app
