#include "dmoerm/metrics/evaluation.h"

#include <algorithm>
#include <chrono>
#include <map>

#include "dmoerm/core/log.h"
#include "dmoerm/metrics/length_baseline.h"
#include "dmoerm/reward/double_layer_model.h"

namespace dmoerm::metrics {
namespace {

using data::PreferenceRecord;
using reward::RecordScore;

constexpr size_t kWindowRecords = 2048;

// The model's name for the record's task, or "" when it knows none of that name.
std::string known_task(const reward::DoubleLayerModel* model, const PreferenceRecord& record) {
  const auto* inner = model ? model->find_for_records(record.task) : nullptr;
  return inner ? inner->task : "";
}

// Scores of a window: by the true tasks, and by the router's choice for every record.
struct WindowScores {
  std::vector<RecordScore> truth, routed;  // routed: empty without a router
  data::EncodeCounts encoded_again;        // of records that were scored by both
};

WindowScores score_window(reward::RecordScorer& scorer, std::span<const PreferenceRecord> records) {
  const auto* model = scorer.double_layer();
  if (!model || !model->router) return {scorer.score(records), {}, {}};

  std::vector<PreferenceRecord> without_task(records.begin(), records.end());
  for (PreferenceRecord& record : without_task) record.task.clear();
  WindowScores scores;
  scores.routed = scorer.score(without_task);
  scores.truth = scores.routed;
  // Only where the router was wrong, or mixes tasks, does the true task's model give anything else.
  std::vector<PreferenceRecord> again;
  std::vector<size_t> places;
  for (size_t i = 0; i < records.size(); ++i) {
    const auto task = known_task(model, records[i]);
    if (task.empty() || (task == scores.routed[i].task && model->router->top == 1)) continue;
    again.push_back(records[i]);
    places.push_back(i);
  }
  const data::EncodeCounts before = scorer.counts().encoded;
  auto corrected = scorer.score(again);
  scores.encoded_again = scorer.counts().encoded - before;
  for (size_t n = 0; n < places.size(); ++n) scores.truth[places[n]] = std::move(corrected[n]);
  return scores;
}

// The rows by task name, in the model's order first.
class Rows {
 public:
  explicit Rows(const reward::DoubleLayerModel* model) : model_(model) {
    if (model)
      for (const auto& inner : model->tasks) row(inner.task);
  }

  void add(const PreferenceRecord& record, const RecordScore& truth, const RecordScore* routed) {
    const std::string known = known_task(model_, record);
    for (TaskEvaluation* target : {&row(known.empty() ? record.task : known), &result_.overall}) {
      const uint64_t prompt = data::prompt_hash(record);
      ++target->records;
      target->accuracy.push_back({prompt, count_pairs(truth.rewards, record.ranks)});
      target->length.push_back({prompt, count_pairs(answer_lengths(record), record.ranks)});
      if (!routed) continue;
      target->routed.push_back({prompt, count_pairs(routed->rewards, record.ranks)});
      target->router_records += !known.empty();
      target->router_right += !known.empty() && routed->task == known;
    }
  }

  Evaluation take() {
    std::erase_if(result_.tasks, [](const auto& task) { return task.records == 0; });
    return std::move(result_);
  }

 private:
  TaskEvaluation& row(const std::string& task) {
    const auto [place, is_new] = places_.try_emplace(task, result_.tasks.size());
    if (is_new) result_.tasks.emplace_back().task = task;
    return result_.tasks[place->second];
  }

  const reward::DoubleLayerModel* model_;
  Evaluation result_;
  std::map<std::string, size_t> places_;
};

}  // namespace

Evaluation evaluate(reward::RecordScorer& scorer, const EvaluationOptions& options) {
  const auto begin = std::chrono::steady_clock::now();
  data::PreferenceReader reader(options.files, options.reader);
  Progress progress("eval", 0, "records");
  Rows rows(scorer.double_layer());
  std::vector<PreferenceRecord> window;
  data::EncodeCounts encoded_again;
  const auto finish_window = [&] {
    const auto scores = score_window(scorer, window);
    encoded_again += scores.encoded_again;
    for (size_t i = 0; i < window.size(); ++i) {
      for (const auto* score : {&scores.truth[i], scores.routed.empty() ? nullptr : &scores.routed[i]})
        if (score && !score->error.empty()) fail("eval", "record {}: {}", window[i].id, score->error);
      if (options.on_record) options.on_record(window[i], scores.truth[i].rewards);
      rows.add(window[i], scores.truth[i], scores.routed.empty() ? nullptr : &scores.routed[i]);
    }
    progress.advance(static_cast<int64_t>(window.size()));
    window.clear();
  };
  for (PreferenceRecord record; reader.next(record);) {
    window.push_back(std::move(record));
    if (window.size() == kWindowRecords) finish_window();
  }
  finish_window();

  Evaluation result = rows.take();
  result.bad_lines = reader.num_bad();
  result.encoded = scorer.counts().encoded - encoded_again;
  result.tokens = scorer.counts().tokens;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (total(result.overall.accuracy).pairs == 0)
    fail("eval", "{} records hold no pair of answers of different rank", result.overall.records);
  return result;
}

}  // namespace dmoerm::metrics
