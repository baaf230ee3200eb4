#include "dmoerm/study/study_results.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "dmoerm/core/file.h"
#include "dmoerm/metrics/pairwise_accuracy.h"
#include "dmoerm/metrics/rank_correlation.h"
#include "dmoerm/study/answer_pools.h"
#include "dmoerm/study/rewards.h"

namespace dmoerm::study {
namespace {

using Records = std::vector<EvaluationRecord>;
using Rewards = std::vector<RecordRewards>;

double accuracy(const Records& records, const Rewards& rewards, std::vector<double> RecordRewards::*which) {
  metrics::PairCount count;
  for (size_t i = 0; i < records.size(); ++i) {
    const auto pairs = metrics::count_pairs(rewards[i].*which, records[i].ranks);
    count.right += pairs.right;
    count.pairs += pairs.pairs;
  }
  return count.pairs > 0 ? count.accuracy() : NAN;
}

std::map<std::string, double> accuracy_by_task(const Records& records, const Rewards& rewards) {
  std::map<std::string, metrics::PairCount> counts;
  for (size_t i = 0; i < records.size(); ++i) {
    const auto pairs = metrics::count_pairs(rewards[i].rewards, records[i].ranks);
    counts[records[i].task].right += pairs.right;
    counts[records[i].task].pairs += pairs.pairs;
  }
  std::map<std::string, double> result;
  for (const auto& [task, count] : counts)
    if (count.pairs > 0) result[task] = count.accuracy();
  return result;
}

void add_centred(std::span<const double> values, std::vector<double>& all) {
  double mean = 0;
  for (const double value : values) mean += value / static_cast<double>(values.size());
  for (const double value : values) all.push_back(value - mean);
}

SetMeasures measure(const Records& records, const Rewards& rewards) {
  SetMeasures result;
  result.accuracy = accuracy(records, rewards, &RecordRewards::rewards);
  const bool has_router = !rewards.empty() && !rewards[0].routed.empty();
  result.routed = has_router ? accuracy(records, rewards, &RecordRewards::routed) : NAN;
  result.tasks = accuracy_by_task(records, rewards);
  std::vector<double> differences, centred_rewards, centred_lengths;
  for (size_t i = 0; i < records.size(); ++i) {
    metrics::add_differences(rewards[i].rewards, records[i].ranks, differences);
    add_centred(rewards[i].rewards, centred_rewards);
    add_centred(records[i].lengths, centred_lengths);
  }
  result.length_correlation = metrics::correlation(centred_rewards, centred_lengths);
  result.calibration_error = NAN;
  if (differences.empty()) return result;
  const double scale = metrics::best_scale(differences);
  for (double& difference : differences) difference *= scale;
  result.calibration_error = metrics::calibration(differences).expected_error;
  return result;
}

// Rewards in deviations over the whole pool, so that models of different units can be drawn together.
std::vector<metrics::AnswerPool> pools_of(const Records& records, const Rewards& rewards) {
  std::vector<metrics::AnswerPool> pools = join_pools(records, rewards);
  double count = 0, sum = 0, squares = 0;
  for (const metrics::AnswerPool& pool : pools)
    for (const double reward : pool.proxy) count += 1, sum += reward, squares += reward * reward;
  const double mean = sum / count, deviation = std::sqrt(std::max(1e-24, squares / count - mean * mean));
  for (metrics::AnswerPool& pool : pools)
    for (double& reward : pool.proxy) reward = (reward - mean) / deviation;
  return pools;
}

Rewards length_rewards(const Records& records) {
  Rewards rewards;
  for (const EvaluationRecord& record : records) rewards.push_back({record.lengths, {}, ""});
  return rewards;
}

Rewards gold_rewards(const Records& records) {
  Rewards rewards;
  for (const EvaluationRecord& record : records) rewards.push_back({gold_values(record), {}, ""});
  return rewards;
}

// The records of a set are read once for each cell.
class RecordCache {
 public:
  const Records& get(const EvaluationSet& set) {
    const std::string key = fmt::format("{}\n{}", set.pool, fmt::join(strings(set.files), "\n"));
    const auto found = records_.find(key);
    return found != records_.end()
               ? found->second
               : records_.emplace(key, load_records(set.files, set.reader_options())).first->second;
  }

 private:
  static std::vector<std::string> strings(const std::vector<fs::path>& paths) {
    return {paths.begin(), paths.end()};
  }
  std::map<std::string, Records> records_;
};

Rewards checked_rewards(const fs::path& file, const Records& records) {
  Rewards rewards = load_rewards(file);
  bool fits = rewards.size() == records.size();
  for (size_t i = 0; fits && i < records.size(); ++i)
    fits = rewards[i].rewards.size() == records[i].lengths.size();
  if (!fits)
    fail(file.string(), "the rewards are not those of the evaluation set's records: remove the file");
  return rewards;
}

MethodSeed measure_cell(const StudyCell& cell, const MethodRun& run, RecordCache& cache) {
  MethodSeed result;
  result.seed = cell.condition().seed;
  for (const EvaluationSet& set : cell.evaluations()) {
    const Records& records = cache.get(set);
    result.sets[set.name] = measure(records, checked_rewards(run.rewards_file(set), records));
  }
  for (const EvaluationSet& set : cell.pools()) {
    const Records& records = cache.get(set);
    const Rewards rewards = checked_rewards(run.rewards_file(set), records);
    result.pools[set.name] = {metrics::best_of_n_curve(pools_of(records, rewards))};
  }
  result.facts = load_json(run.facts_file());
  return result;
}

void add_baselines(const StudyCell& cell, RecordCache& cache, SettingResult& result) {
  for (const EvaluationSet& set : cell.evaluations()) {
    if (!fs::exists(set.files[0])) continue;
    const Records& records = cache.get(set);
    result.length_only[set.name] = measure(records, length_rewards(records));
  }
  for (const EvaluationSet& set : cell.pools()) {
    if (!fs::exists(set.files[0])) continue;
    const Records& records = cache.get(set);
    if (std::ranges::all_of(records, [](const EvaluationRecord& record) { return !record.gold.empty(); }))
      result.ideal[set.name] = metrics::best_of_n_curve(pools_of(records, gold_rewards(records)));
  }
}

SettingResult& setting_of(StudyResults& results, const Condition& condition) {
  for (SettingResult& setting : results.settings)
    if (setting.setting == condition.setting()) return setting;
  SettingResult& setting = results.settings.emplace_back();
  setting.setting = condition.setting();
  setting.conflict = condition.conflict;
  setting.size = condition.size;
  setting.rank_noise = condition.rank_noise;
  return setting;
}

}  // namespace

std::vector<double> MethodResult::values(const std::string& set, double SetMeasures::*measure) const {
  std::vector<double> result;
  for (const MethodSeed& seed : seeds)
    if (const auto found = seed.sets.find(set); found != seed.sets.end())
      result.push_back(found->second.*measure);
  return result;
}

const MethodResult* SettingResult::find(const std::string& method) const {
  const auto found = std::ranges::find(methods, method, &MethodResult::name);
  return found == methods.end() ? nullptr : &*found;
}

StudyResults collect_results(const StudyConfig& study) {
  StudyResults results;
  for (const Condition& condition : study.conditions()) {
    const StudyCell cell(study, condition, torch::kCPU, torch::kFloat32);
    SettingResult& setting = setting_of(results, condition);
    RecordCache cache;
    if (setting.length_only.empty()) add_baselines(cell, cache, setting);
    for (const std::string& name : study.methods) {
      const Method& method = find_method(name);
      const MethodRun run(cell, method);
      if (!run.finished()) {
        const auto error = run.error();
        results.missing.push_back(
            fmt::format("{}: {}{}", cell.directory().filename().string(), name, error ? ": " + *error : ""));
        continue;
      }
      auto place = std::ranges::find(setting.methods, name, &MethodResult::name);
      if (place == setting.methods.end())
        place = setting.methods.insert(setting.methods.end(), {method.name, method.title, {}});
      place->seeds.push_back(measure_cell(cell, run, cache));
    }
  }
  const auto place = [&](const MethodResult& method) {
    return std::ranges::find(study.methods, method.name) - study.methods.begin();
  };
  for (SettingResult& setting : results.settings) std::ranges::sort(setting.methods, {}, place);
  return results;
}

Comparison compare(const MethodResult& method, const MethodResult* reference, const std::string& set,
                   double SetMeasures::*measure) {
  Comparison result;
  result.mean = metrics::seed_mean(method.values(set, measure));
  std::vector<double> own, others;
  for (const MethodSeed& seed : method.seeds) {
    if (!reference) break;
    const auto other = std::ranges::find(reference->seeds, seed.seed, &MethodSeed::seed);
    if (other == reference->seeds.end()) continue;
    const double value = seed.sets.at(set).*measure, reference_value = other->sets.at(set).*measure;
    if (!std::isfinite(value) || !std::isfinite(reference_value)) continue;  // a set of ties
    own.push_back(value);
    others.push_back(reference_value);
  }
  if (own.empty()) {
    result.difference.difference = {NAN, NAN, {NAN, NAN}};
    result.difference.p = NAN;
  } else {
    result.difference = metrics::paired_difference(own, others);
  }
  return result;
}

}  // namespace dmoerm::study
