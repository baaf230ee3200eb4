#include "dmoerm/study/study_run.h"

#include <chrono>
#include <cmath>

#include "dmoerm/core/hash.h"
#include "dmoerm/core/log.h"
#include "dmoerm/data/reader.h"
#include "dmoerm/metrics/pairwise_accuracy.h"
#include "dmoerm/reward/model_manifest.h"
#include "dmoerm/reward/scorer.h"
#include "dmoerm/study/rewards.h"

namespace dmoerm::study {
namespace {

// Accuracy on each task's records of each task's own model: how far one task's judgement carries to another.
Json disturbance(reward::Scorer& scorer, const EvaluationSet& set) {
  const auto& tasks = scorer.model().tasks;
  std::vector<std::vector<data::PreferenceRecord>> records(tasks.size());
  data::PreferenceReader reader(set.files, set.reader_options());
  for (data::PreferenceRecord record; reader.next(record);)
    for (size_t task = 0; task < tasks.size(); ++task)
      if (scorer.model().find_for_records(record.task) == &tasks[task]) records[task].push_back(record);
  Json names = Json::array(), rows = Json::array();
  for (const reward::InnerModel& trained : tasks) {
    Json row = Json::array();
    for (const auto& tested : records) {
      metrics::PairCount count;
      const std::vector<std::string> chosen(tested.size(), trained.task);
      const auto scores = scorer.score_as(tested, chosen);
      for (size_t i = 0; i < tested.size(); ++i) {
        const auto pairs = metrics::count_pairs(scores[i].rewards, tested[i].ranks);
        count.right += pairs.right;
        count.pairs += pairs.pairs;
      }
      row.push_back(count.pairs > 0 ? Json(count.accuracy()) : Json());
    }
    names.push_back(trained.task);
    rows.push_back(row);
  }
  return {{"tasks", names}, {"accuracy", rows}};
}

// Each point's share of the linear combination's weights, over scores of unit deviation.
Json contributions(const fs::path& file) {
  Json result = Json::object();
  const Json linear = load_json(file);
  for (const auto& [task, fit] : linear.items()) {
    double total = 0;
    const auto weight = [&fit = fit](size_t i) {
      return fit.at("sum")[i].get<double>() * fit.at("deviation")[i].get<double>();
    };
    for (size_t i = 0; i < fit.at("points").size(); ++i) total += std::abs(weight(i));
    for (size_t i = 0; i < fit.at("points").size(); ++i)
      result[task][fit.at("points")[i].get<std::string>()] = total > 0 ? weight(i) / total : 0;
  }
  return result;
}

// The study's dtype, as --dtype names it, is kept in its folder.
void check_dtype(const StudyConfig& study, torch::ScalarType dtype) {
  const fs::path file = study.out / "dtype";
  const std::string name = dtype == torch::kBFloat16 ? "bfloat16" : "float32";
  if (!fs::exists(file)) write_file_atomically(file, name);
  if (const std::string before = read_file(file); before != name)
    fail("study", "{} was begun with --dtype {}, found {}: go on with {} or choose another out",
         study.out.string(), before, name, before);
}

}  // namespace

MethodRun::MethodRun(const StudyCell& cell, const Method& method)
    : cell_(cell), method_(method), directory_(cell.directory() / "rewards" / method.name) {}

std::vector<EvaluationSet> MethodRun::sets() const {
  std::vector<EvaluationSet> sets = cell_.evaluations();
  for (EvaluationSet& pool : cell_.pools()) sets.push_back(std::move(pool));
  return sets;
}

// The name holds a hash of the set's files and of the method's own settings: others are scored anew.
fs::path MethodRun::rewards_file(const EvaluationSet& set) const {
  uint64_t hash = hash64(set.name);
  for (const fs::path& file : set.files) hash = hash_combine(hash, hash64(sha256_file(file)));
  if (set.text_as_turn) hash = hash_combine(hash, hash64("turn"));
  if (method_.settings) hash = hash_combine(hash, hash64(method_.settings(cell_.study())));
  return directory_ / fmt::format("{}-{:08x}.jsonl", reward::directory_name(set.name), hash >> 32);
}

bool MethodRun::finished() const {
  if (!fs::exists(facts_file())) return false;
  for (const EvaluationSet& set : sets())
    if (!fs::exists(set.files[0]) || !fs::exists(rewards_file(set))) return false;
  return true;
}

std::optional<std::string> MethodRun::error() const {
  const fs::path file = directory_ / "error.txt";
  if (!fs::exists(file)) return {};
  return read_file(file);
}

void MethodRun::run() try {
  const auto begin = std::chrono::steady_clock::now();
  ScorerPointer scorer = method_.make(cell_, method_);
  for (const EvaluationSet& set : sets()) {
    const fs::path file = rewards_file(set);
    if (!fs::exists(file)) save_rewards(file, score_records(*scorer, set.files, set.reader_options()));
  }
  Json facts = Json::object();
  if (method_.name == "per_task")
    facts["disturbance"] = disturbance(dynamic_cast<reward::Scorer&>(*scorer), cell_.evaluations().front());
  if (method_.name == "dmoerm")
    facts["contributions"] = contributions(cell_.double_layer("dmoerm").out / "linear.json");
  facts["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  write_file_atomically(facts_file(), dump_json(facts, 2) + "\n");
  fs::remove(directory_ / "error.txt");
} catch (const Error& error) {
  fs::create_directories(directory_);
  write_file_atomically(directory_ / "error.txt", error.what());
  throw;
}

std::vector<StudyCell> make_cells(const StudyConfig& study, torch::Device device, torch::ScalarType dtype) {
  std::vector<StudyCell> cells;
  for (const Condition& condition : study.conditions()) cells.emplace_back(study, condition, device, dtype);
  return cells;
}

RunCounts count_runs(const StudyConfig& study, const std::vector<StudyCell>& cells) {
  RunCounts counts;
  for (const StudyCell& cell : cells)
    for (const std::string& name : study.methods) {
      ++counts.total;
      counts.finished += fs::exists(MethodRun(cell, find_method(name)).facts_file());
    }
  return counts;
}

int64_t run_study(const StudyConfig& study, torch::Device device, torch::ScalarType dtype) {
  int64_t failures = 0;
  std::vector<StudyCell> cells = make_cells(study, device, dtype);
  for (const std::string& name : study.methods)
    for (StudyCell& cell : cells) {
      const Method& method = find_method(name);
      MethodRun run(cell, method);
      if (run.finished()) continue;
      check_dtype(study, dtype);
      std::optional<FileLock> lock;
      try {
        lock.emplace(cell.directory() / "rewards" / (name + ".lock"));
      } catch (const LockHeld&) {
        continue;  // another process is at it
      }
      log().info("{}: {}", cell.directory().filename().string(), method.title);
      try {
        cell.prepare();
        run.run();
      } catch (const Error& error) {
        log().error("{}: {}: {}", cell.directory().filename().string(), method.title, error.what());
        ++failures;
        if (train::stop_requested()) throw;
      }
    }
  return failures;
}

}  // namespace dmoerm::study
