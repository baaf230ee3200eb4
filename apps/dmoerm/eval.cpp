// dmoerm eval: accuracy of a model on ranked answers.
#include <iostream>

#include "apps/dmoerm/commands.h"
#include "apps/dmoerm/scorer_flags.h"
#include "dmoerm/core/file.h"
#include "dmoerm/metrics/evaluation.h"
#include "dmoerm/metrics/reward_bench.h"

namespace dmoerm::app {
namespace {

struct EvalFlags {
  ScorerFlags model;
  metrics::EvaluationOptions evaluation;
  bool json = false;
  std::filesystem::path reward_bench;
};

std::string notes(const metrics::Evaluation& result) {
  std::string text =
      "Accuracy over pairs of different rank, equal rewards count one half; [95% interval by bootstrap over "
      "prompts].\n"
      "Length only: the answer with more characters wins (tokens, where records hold ids).\n";
  text +=
      fmt::format("{} records, {} tokens, {:.1f} s", result.overall.records, result.tokens, result.seconds);
  if (result.bad_lines > 0) text += fmt::format("; {} bad lines skipped", result.bad_lines);
  if (const int64_t cut = result.encoded.prompts_cut + result.encoded.answers_cut; cut > 0)
    text += fmt::format("; {} sequences were too long and cut", cut);
  return text + "\n";
}

// "RewardBench: Chat 90.1%, Safety 80.2%, no overall score: subsets are missing"
std::string leaderboard(const metrics::RewardBenchScores& scores) {
  std::vector<std::string> parts;
  for (const auto& [section, score] : scores.sections)
    parts.push_back(fmt::format("{} {:.1f}%", section, 100 * score));
  parts.push_back(scores.overall ? fmt::format("overall {:.1f}%", 100 * *scores.overall)
                                 : "no overall score: subsets are missing");
  return fmt::format("RewardBench: {}\n", fmt::join(parts, ", "));
}

void print(const EvalFlags& flags, const metrics::Evaluation& result,
           const metrics::RewardBenchScores* scores) {
  if (flags.json) {
    Json json = result.to_json(flags.evaluation.seed);
    if (scores) json["reward_bench"] = scores->summary();
    std::cout << dump_json(json, 2) << std::endl;
  } else {
    std::cout << result.to_table(flags.evaluation.seed) << notes(result);
    if (scores) std::cout << leaderboard(*scores);
    std::cout.flush();
  }
}

}  // namespace

void add_eval_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "eval", "Accuracy per task and overall, with intervals and the length-only baseline");
  auto flags = std::make_shared<EvalFlags>();
  flags->model.add_to(*command);
  command->add_option("--data", flags->evaluation.files, "Ranked records (JSONL, .gz, .zst)")->required();
  command->add_flag("--skip-bad", flags->model.reader.skip_bad,
                    "Count bad lines and go on instead of stopping");
  command->add_option("--seed", flags->evaluation.seed, "Of the bootstrap")->capture_default_str();
  command->add_flag("--json", flags->json, "Print JSON");
  command->add_option("--reward-bench", flags->reward_bench,
                      "Also write the scores in the form of RewardBench's result files (its rows as --data)");
  command->footer("Example:\n  dmoerm eval --model out/model --data dev.jsonl.gz");
  command->callback([flags] {
    auto scorer = flags->model.load();
    flags->evaluation.reader = flags->model.reader;
    std::vector<metrics::RewardBenchRow> rows;
    if (!flags->reward_bench.empty())
      flags->evaluation.on_record = [&](const data::PreferenceRecord& record,
                                        const std::vector<double>& rewards) {
        rows.push_back({record.task, rewards, record.ranks, record.id});
      };
    const auto result = metrics::evaluate(*scorer, flags->evaluation);
    if (flags->reward_bench.empty()) return print(*flags, result, nullptr);
    std::optional<metrics::RewardBenchScores> scores;
    try {
      scores = metrics::reward_bench(rows);
    } catch (const Error&) {  // rows that are not RewardBench's: the evaluation holds all the same
      print(*flags, result, nullptr);
      throw;
    }
    print(*flags, result, &*scores);
    write_file_atomically(flags->reward_bench,
                          dump_json(scores->to_json(flags->model.model.string()), 2) + "\n");
  });
}

}  // namespace dmoerm::app
