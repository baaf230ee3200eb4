#include "dmoerm/study/rewards.h"

#include <algorithm>

#include "dmoerm/core/file.h"
#include "dmoerm/core/json.h"
#include "dmoerm/core/log.h"
#include "dmoerm/metrics/length_baseline.h"
#include "dmoerm/reward/double_layer_model.h"

namespace dmoerm::study {
namespace {

// Records are scored in windows: a pool may hold thousands of answers to a prompt.
constexpr size_t kWindowAnswers = 1 << 15;

std::vector<reward::RecordScore> score_or_fail(reward::RecordScorer& scorer,
                                               const std::vector<data::PreferenceRecord>& records) {
  std::vector<reward::RecordScore> scores = scorer.score(records);
  for (size_t i = 0; i < scores.size(); ++i)
    if (!scores[i].error.empty()) fail("study", "record {}: {}", records[i].id, scores[i].error);
  return scores;
}

void score_window(reward::RecordScorer& scorer, std::vector<data::PreferenceRecord>& window,
                  std::vector<RecordRewards>& result) {
  const size_t first = result.size();
  for (reward::RecordScore& score : score_or_fail(scorer, window))
    result.push_back({std::move(score.rewards), {}, ""});
  const reward::DoubleLayerModel* model = scorer.double_layer();
  if (!model || !model->router) return;
  for (data::PreferenceRecord& record : window) record.task.clear();
  const std::vector<reward::RecordScore> routed = score_or_fail(scorer, window);
  for (size_t i = 0; i < routed.size(); ++i) {
    result[first + i].routed = routed[i].rewards;
    result[first + i].route = routed[i].task;
  }
}

EvaluationRecord evaluation_record(const data::PreferenceRecord& record) {
  return {record.task, data::prompt_hash(record), record.ranks, record.gold, metrics::answer_lengths(record)};
}

}  // namespace

std::vector<double> gold_values(const EvaluationRecord& record) {
  if (!record.gold.empty() || record.ranks.empty()) return record.gold;
  std::vector<double> values;
  const int64_t best = *std::ranges::min_element(record.ranks);
  for (const int64_t rank : record.ranks) values.push_back(rank == best ? 1 : 0);
  return values;
}

std::vector<EvaluationRecord> load_records(const std::vector<std::filesystem::path>& files,
                                           const data::ReaderOptions& options) {
  std::vector<EvaluationRecord> records;
  data::PreferenceReader reader(files, options);
  for (data::PreferenceRecord record; reader.next(record);) records.push_back(evaluation_record(record));
  return records;
}

std::vector<RecordRewards> score_records(reward::RecordScorer& scorer,
                                         const std::vector<std::filesystem::path>& files,
                                         const data::ReaderOptions& options,
                                         std::vector<EvaluationRecord>* records) {
  std::vector<RecordRewards> result;
  std::vector<data::PreferenceRecord> window;
  Progress progress("scoring", 0, "records");
  size_t answers = 0;
  const auto finish_window = [&] {
    if (window.empty()) return;
    score_window(scorer, window, result);
    progress.advance(static_cast<int64_t>(window.size()));
    window.clear();
    answers = 0;
  };
  data::PreferenceReader reader(files, options);
  for (data::PreferenceRecord record; reader.next(record);) {
    answers += record.num_answers();
    if (records) records->push_back(evaluation_record(record));
    window.push_back(std::move(record));
    if (answers >= kWindowAnswers) finish_window();
  }
  finish_window();
  return result;
}

void save_rewards(const std::filesystem::path& path, const std::vector<RecordRewards>& rewards) {
  AtomicFile file(path);
  for (const RecordRewards& record : rewards) {
    Json json = {{"rewards", record.rewards}};
    if (!record.routed.empty()) json.update({{"routed", record.routed}, {"route", record.route}});
    file.write(dump_json(json) + "\n");
  }
  file.commit();
}

std::vector<RecordRewards> load_rewards(const std::filesystem::path& path) {
  std::vector<RecordRewards> rewards;
  LineReader reader(path);
  for (std::string line; reader.next(line);) {
    const std::string where = fmt::format("{}:{}", path.string(), reader.line_number());
    const Json json = parse_json(line, where);
    RecordRewards record;
    try {
      json.at("rewards").get_to(record.rewards);
      if (json.contains("routed")) json.at("routed").get_to(record.routed);
    } catch (const Json::exception& error) {
      fail(where, "{}", error.what());
    }
    record.route = json_field_or<std::string>(json, "route", "", where);
    rewards.push_back(std::move(record));
  }
  return rewards;
}

}  // namespace dmoerm::study
