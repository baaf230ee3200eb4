// dmoerm label: capability labels for preference data, from a judge asked in both orders; label stats: what
// they are worth; label tasks: the prompts that are built in.
#include <iostream>

#include "apps/dmoerm/commands.h"
#include "dmoerm/label/judge_prompts.h"
#include "dmoerm/label/label_files.h"
#include "dmoerm/study/label_report.h"

namespace dmoerm::app {
namespace {

constexpr const char* kLabelExamples = R"(Examples:
  dmoerm label --data train.jsonl.gz --tasks examples/label/tasks.toml --out labels.jsonl      # measures text
  export OPENAI_API_KEY=...
  dmoerm label --data train.jsonl --out labels.jsonl --endpoint https://api.openai.com/v1 --model gpt-4o-mini \
    --price-in 0.15 --price-out 0.6 --dry-run                   # what would it cost?
  dmoerm label --data train.jsonl --out labels.jsonl --endpoint https://api.openai.com/v1 --model gpt-4o-mini \
    --price-in 0.15 --price-out 0.6 --budget 20 --concurrency 64
  dmoerm label --data train.jsonl --out labels.jsonl --endpoint http://localhost:8000/v1 --model qwen --language zh
  dmoerm label --data train.jsonl --out labels.jsonl --model gpt-4o-mini --write-batch out/batch
  dmoerm label --data train.jsonl --out labels.jsonl --model gpt-4o-mini --read-batch results.jsonl errors.jsonl
  dmoerm label stats --labels labels.jsonl --data train.jsonl --report out/labels.html
  dmoerm label tasks --language zh > tasks.toml                 # the built-in prompts, to edit
Stopped or killed, the same command asks only what is missing.)";

// Options of these groups are for a model behind an API alone.
constexpr const char* kModelGroup = "A model behind an API";
constexpr const char* kRequestGroup = "Requests";

// What is parsed as text and turned into the run's settings.
struct LabelFlags {
  label::LabelRun run;
  std::string text = "raw", extra_body;
};

void add_data_options(CLI::App& command, LabelFlags& flags) {
  label::LabelRun& run = flags.run;
  command.add_option("--data", run.data, "Preference files (JSONL, .gz, .zst; - is standard input)");
  command.add_option("--out", run.out, "LABELS.jsonl; what it holds already is not asked again");
  command.add_option("--judge", run.judge,
                     "builtin: measures text, for --tasks or --points that are measures (the default without "
                     "--model); http: a model behind an API (the default with --model); world: knows the "
                     "synthetic world; ranks: the human ranks");
  command.add_option(
      "--tasks", run.tasks,
      "Tasks file: which points belong to which task, and prompts (default: builtin, the paper's)");
  command.add_option("--points", run.points, "The same points for every task, instead of --tasks")
      ->delimiter(',');
  command.add_option("--task", run.task, "The task of every record, as `task` of [[data]] in training");
  command.add_option("--votes", run.options.votes, "Calls for each order; the majority counts")
      ->capture_default_str();
  command.add_option("--max-pairs", run.options.max_pairs, "Pairs of a record, chosen by --seed; 0: all")
      ->capture_default_str();
  command.add_flag("--drop-rank-ties", run.options.drop_rank_ties, "Skip pairs that people ranked equal");
  command.add_flag("--drop-ties", run.options.drop_ties,
                   "Skip pairs that the judge knows to be equal in a point without being asked");
  command.add_option("--seed", run.options.seed, "Seed of the choice of pairs and of the world's judge")
      ->capture_default_str();
  command.add_flag("--retry-failed", run.retry_failed, "Ask again what failed for good in earlier runs");
  command.add_option("--text", flags.text, "A text prompt is raw text that answers continue, or a user turn")
      ->check(CLI::IsMember({"raw", "turn"}))
      ->capture_default_str();
  command.add_flag("--skip-bad", run.reader.skip_bad, "Skip bad lines instead of stopping");
}

void add_prompt_options(CLI::App& command, LabelFlags& flags) {
  label::ChatOptions& chat = flags.run.chat;
  command.add_option("--endpoint", flags.run.http.endpoint, "Base address of an OpenAI-compatible API")
      ->group(kModelGroup);
  command.add_option("--model", chat.model, "Name of the model; also the judge's name in the labels")
      ->group(kModelGroup);
  command
      .add_option("--language", flags.run.language,
                  "Of the built-in prompts (default: the tasks file's, else en)")
      ->check(CLI::IsMember({"en", "zh"}))
      ->group(kModelGroup);
  command.add_option("--system", chat.system, "System message")->group(kModelGroup);
  command.add_option("--temperature", chat.temperature, "Of sampling")
      ->capture_default_str()
      ->group(kModelGroup);
  command.add_option("--max-tokens", chat.max_tokens, "Tokens of an answer")
      ->capture_default_str()
      ->group(kModelGroup);
  command
      .add_option("--max-answer-characters", chat.max_answer_characters,
                  "Longer replies are cut in the prompt, marked and counted; 0: never")
      ->capture_default_str()
      ->group(kModelGroup);
  command
      .add_option("--extra-body", flags.extra_body,
                  "JSON object merged into every request; null removes a key, for example "
                  "'{\"max_tokens\": null, \"max_completion_tokens\": 500}'")
      ->group(kModelGroup);
  command
      .add_option("--tokenizer", chat.tokenizer,
                  "Hugging Face tokenizer to count tokens with (default: estimated)")
      ->group(kModelGroup);
}

void add_request_options(CLI::App& command, LabelFlags& flags) {
  label::LabelRun& run = flags.run;
  command
      .add_option("--key-env", run.key_variable,
                  "Variable that holds the key (default: OPENAI_API_KEY if it is set)")
      ->group(kRequestGroup);
  command.add_option("--key-file", run.key_file, "File that holds the key")->group(kRequestGroup);
  command.add_option("--concurrency", run.http.concurrency, "Requests in flight")
      ->capture_default_str()
      ->group(kRequestGroup);
  command.add_option("--timeout", run.http.timeout, "Seconds for a request")
      ->capture_default_str()
      ->group(kRequestGroup);
  command
      .add_option("--attempts", run.http.retry.attempts,
                  "Attempts of a request that meets 408, 429, 5xx, a broken answer or no connection")
      ->capture_default_str()
      ->group(kRequestGroup);
  command.add_option("--requests-per-minute", run.http.requests_per_minute, "0: no limit")
      ->capture_default_str()
      ->group(kRequestGroup);
  command
      .add_option("--tokens-per-minute", run.http.tokens_per_minute,
                  "0: no limit; a request counts its prompt and --max-tokens")
      ->capture_default_str()
      ->group(kRequestGroup);
  command.add_option("--price-in", run.http.prices.prompt, "Price of a million prompt tokens")
      ->group(kRequestGroup);
  command.add_option("--price-out", run.http.prices.completion, "Price of a million completion tokens")
      ->group(kRequestGroup);
  command
      .add_option(
          "--budget", run.http.budget,
          "Stop before all runs on --out together have cost more; requests in flight count at their most")
      ->group(kRequestGroup);
  command.add_flag("--dry-run", run.dry_run, "Count requests, tokens and cost; ask and write nothing")
      ->group(kRequestGroup);
  command.add_flag("--keep-raw", run.keep_raw, "Keep the model's whole answers in LABELS.raw")
      ->group(kRequestGroup);
  command
      .add_option("--write-batch", run.write_batch,
                  "Write batch request files into this folder instead of asking")
      ->group(kRequestGroup);
  command.add_option("--read-batch", run.read_batch, "Read batch result and error files, in any order")
      ->group(kRequestGroup);
}

void refuse_unused(const CLI::App& command, const label::LabelRun& run) {
  const std::string judge = label::judge_name(run);
  if (judge == "http") return;
  for (const CLI::Option* option : command.get_options())
    if (option->count() > 0 && (option->get_group() == kModelGroup || option->get_group() == kRequestGroup))
      fail("label", "{} is for a model behind an API (--model NAME), found the judge \"{}\"",
           option->get_name(), judge);
}

void run_label(const CLI::App& command, LabelFlags& flags) {
  if (flags.run.data.empty()) throw CLI::RequiredError("--data");
  if (flags.run.out.empty()) throw CLI::RequiredError("--out");
  refuse_unused(command, flags.run);
  flags.run.reader.text_as_turn = flags.text == "turn";
  if (!flags.extra_body.empty()) flags.run.chat.extra_body = parse_json(flags.extra_body, "--extra-body");
  std::cout << label::label_files(flags.run).to_text();
}

void add_stats_command(CLI::App& parent) {
  CLI::App* command =
      parent.add_subcommand("stats", "What labels are worth: bias, agreement, points that add nothing");
  auto options = std::make_shared<label::StatisticsOptions>();
  auto report = std::make_shared<fs::path>();
  auto text = std::make_shared<std::string>("raw");
  command->add_option("--labels", options->labels, "LABELS.jsonl files")->required();
  command->add_option("--data", options->data, "The labelled preference files, for the human ranks");
  command->add_flag("--skip-bad", options->reader.skip_bad, "As for label");
  command->add_option("--judge", options->judge, "Labels of this judge only");
  command->add_option("--text", *text, "As for label")
      ->check(CLI::IsMember({"raw", "turn"}))
      ->capture_default_str();
  command->add_option("--report", *report, "HTML file to write");
  command->footer(
      "Example:\n  dmoerm label stats --labels labels.jsonl --data train.jsonl --report out/labels.html");
  command->callback([options, report, text] {
    options->reader.text_as_turn = *text == "turn";
    const label::LabelStatistics statistics = label::label_statistics(*options);
    std::cout << study::to_text(statistics);
    if (!report->empty()) study::write_report(*report, study::label_report(statistics));
  });
}

void add_tasks_command(CLI::App& parent) {
  CLI::App* command =
      parent.add_subcommand("tasks", "Print the built-in tasks file: points, definitions, prompt");
  auto language = std::make_shared<std::string>("en");
  command->add_option("--language", *language, "en or zh")
      ->check(CLI::IsMember({"en", "zh"}))
      ->capture_default_str();
  command->footer("Example:\n  dmoerm label tasks --language zh > tasks.toml");
  command->callback([language] { std::cout << label::builtin_tasks_file(*language); });
}

}  // namespace

void add_label_command(CLI::App& app) {
  auto flags = std::make_shared<LabelFlags>();
  CLI::App* command =
      app.add_subcommand("label", "Make capability labels: which of two answers is better in a point");
  add_data_options(*command, *flags);
  add_prompt_options(*command, *flags);
  add_request_options(*command, *flags);
  add_stats_command(*command);
  add_tasks_command(*command);
  command->footer(kLabelExamples);
  command->callback([command, flags] {
    if (command->get_subcommands().empty()) run_label(*command, *flags);
  });
}

}  // namespace dmoerm::app
