#include "dmoerm/label/label_files.h"

#include <algorithm>
#include <memory>
#include <set>

#include "dmoerm/core/error.h"
#include "dmoerm/core/log.h"
#include "dmoerm/label/batch.h"
#include "dmoerm/label/dry_run.h"
#include "dmoerm/label/measuring_judge.h"
#include "dmoerm/label/rank_judge.h"
#include "dmoerm/label/world_judge.h"

namespace dmoerm::label {
namespace {

std::unique_ptr<Judge> make_computing_judge(const std::string& name, const LabelRun& run) {
  if (name == "builtin") return std::make_unique<MeasuringJudge>();
  if (name == "world") return std::make_unique<WorldJudge>(WorldJudgeOptions{.seed = run.options.seed});
  if (name == "ranks") return std::make_unique<RankJudge>();
  fail("label", "there is no judge \"{}\", expected builtin, http, ranks or world", name);
}

bool has_tasks_file(const LabelRun& run) {
  return !run.tasks.empty() && run.tasks != "builtin";
}

std::vector<data::TaskPoints> tasks_of(const LabelRun& run) {
  if (!run.tasks.empty() && !run.points.empty()) fail("label", "give a tasks file or points, not both");
  if (has_tasks_file(run)) return data::load_task_points(run.tasks);
  const std::set<std::string> points(run.points.begin(), run.points.end());
  if (points.size() != run.points.size())
    fail("label", "the points are {}, expected each once", fmt::join(run.points, ", "));
  if (!run.points.empty()) return {{.name = data::kAnyTask, .points = run.points}};
  return data::paper_tasks();
}

JudgePrompts prompts_of(const LabelRun& run) {
  if (has_tasks_file(run)) return JudgePrompts::load(run.tasks, run.language);
  return JudgePrompts::builtin(run.language.empty() ? "en" : run.language);
}

ApiKey key_of(const LabelRun& run) {
  if (!run.key_file.empty()) return ApiKey::from_file(run.key_file);
  if (!run.key_variable.empty()) return ApiKey::from_environment(run.key_variable, false);
  return ApiKey::from_environment("OPENAI_API_KEY", true);
}

void check(const LabelRun& run, const std::string& judge) {
  if (run.options.votes < 1) fail("label", "votes is {}, expected 1 or more", run.options.votes);
  if (run.options.max_pairs < 0) fail("label", "max_pairs is {}, expected 0 or more", run.options.max_pairs);
  const int modes = run.dry_run + !run.write_batch.empty() + !run.read_batch.empty();
  if (modes > 1) fail("label", "give one of a dry run, request files to write and result files to read");
  if (judge != "http" && modes > 0)
    fail("label", "only a model behind an API has requests to count or write: give --model");
  if (judge != "http" && !run.http.endpoint.empty())
    fail("label", "an endpoint goes with a model behind it, found the judge \"{}\": give --model", judge);
  if (judge == "http" && modes == 0 && run.http.endpoint.empty())
    fail("label", "the API's address is missing: give --endpoint, for example https://api.openai.com/v1");
  if (judge == "http" && run.options.votes > 1 && run.chat.temperature == 0)
    log().warn("votes of temperature 0 are mostly equal: give a --temperature");
}

LabelSummary ask(const LabelRun& run, const std::vector<data::TaskPoints>& tasks, Judge& judge,
                 LabelStore& store, int64_t expected_calls) {
  LabelOptions options = run.options;
  options.expected_calls = expected_calls;
  data::PreferenceReader reader(run.data, run.reader);
  const auto next = [&](data::PreferenceRecord& record) {
    const bool more = reader.next(record);
    if (more && !run.task.empty()) record.task = run.task;
    return more;
  };
  return label_records(next, tasks, judge, store, options);
}

// Reads all data before anything is paid for, and says how many calls are missing. 0 (unknown) when the data
// come from a pipe, which can be read once.
int64_t count_calls(const LabelRun& run, const std::vector<data::TaskPoints>& tasks,
                    const ChatRequests& requests, LabelStore& store) {
  const auto is_pipe = [](const fs::path& path) {
    std::error_code none;
    return path == "-" || (fs::exists(path, none) && !fs::is_regular_file(path, none));
  };
  if (std::any_of(run.data.begin(), run.data.end(), is_pipe)) return 0;
  DryRun counter(requests, {});
  return ask(run, tasks, counter, store, -1).unasked_calls;
}

LabelSummary ask_model(const LabelRun& run, const std::vector<data::TaskPoints>& tasks) {
  const ChatRequests requests(run.chat, prompts_of(run));
  const bool asks = !run.dry_run && run.write_batch.empty() && run.read_batch.empty();
  const ApiKey key = asks ? key_of(run) : ApiKey();
  if (asks) HttpJudge(requests, run.http, key);  // errors before the store is touched
  LabelStore store(run.out, {.retry_failed = run.retry_failed || !run.read_batch.empty(),
                             .keep_raw = run.keep_raw,
                             .read_only = run.dry_run || !run.write_batch.empty()});
  std::unique_ptr<Judge> judge;
  if (run.dry_run)
    judge = std::make_unique<DryRun>(requests, run.http.prices);
  else if (!run.write_batch.empty())
    judge = std::make_unique<BatchWriter>(requests, run.write_batch);
  else if (!run.read_batch.empty())
    judge = std::make_unique<BatchReader>(requests.model(), run.read_batch, run.keep_raw);
  else
    judge = std::make_unique<HttpJudge>(requests, run.http, key, store.tokens(requests.model()));
  const int64_t expected_calls = asks                     ? count_calls(run, tasks, requests, store)
                                 : run.read_batch.empty() ? -1
                                                          : 0;
  return ask(run, tasks, *judge, store, expected_calls);
}

}  // namespace

std::string judge_name(const LabelRun& run) {
  if (!run.judge.empty()) return run.judge;
  return run.chat.model.empty() ? "builtin" : "http";
}

LabelSummary label_files(const LabelRun& run) {
  const std::string name = judge_name(run);
  check(run, name);
  if (name == "http") return ask_model(run, tasks_of(run));
  const std::unique_ptr<Judge> judge = make_computing_judge(name, run);
  const std::vector<data::TaskPoints> tasks = tasks_of(run);
  LabelStore store(run.out, {.retry_failed = run.retry_failed});
  return ask(run, tasks, *judge, store, 0);
}

}  // namespace dmoerm::label
