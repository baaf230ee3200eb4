#include "dmoerm/label/label_files.h"

#include <memory>

#include "dmoerm/core/error.h"
#include "dmoerm/label/measuring_judge.h"
#include "dmoerm/label/rank_judge.h"
#include "dmoerm/label/world_judge.h"

namespace dmoerm::label {
namespace {

std::unique_ptr<Judge> make_judge(const LabelRun& run) {
  if (run.judge == "builtin") return std::make_unique<MeasuringJudge>();
  if (run.judge == "world") return std::make_unique<WorldJudge>(WorldJudgeOptions{.seed = run.options.seed});
  if (run.judge == "ranks") return std::make_unique<RankJudge>();
  fail("label", "there is no judge \"{}\", expected builtin, ranks or world", run.judge);
}

std::vector<data::TaskPoints> tasks_of(const LabelRun& run) {
  if (!run.tasks.empty() && !run.points.empty()) fail("label", "give a tasks file or points, not both");
  if (!run.tasks.empty()) return data::load_task_points(run.tasks);
  if (!run.points.empty()) return {{.name = data::kAnyTask, .points = run.points}};
  return data::paper_tasks();
}

}  // namespace

LabelSummary label_files(const LabelRun& run) {
  if (run.options.votes < 1) fail("label", "votes is {}, expected 1 or more", run.options.votes);
  if (run.options.max_pairs < 0) fail("label", "max_pairs is {}, expected 0 or more", run.options.max_pairs);
  const std::unique_ptr<Judge> judge = make_judge(run);
  const std::vector<data::TaskPoints> tasks = tasks_of(run);
  data::PreferenceReader reader(run.data, run.reader);
  LabelStore store(run.out);
  return label_records([&](data::PreferenceRecord& record) { return reader.next(record); }, tasks, *judge,
                       store, run.options);
}

}  // namespace dmoerm::label
