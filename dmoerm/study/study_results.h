// What a study has measured, computed from the rewards in its cells.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "dmoerm/metrics/best_of_n.h"
#include "dmoerm/metrics/calibration.h"
#include "dmoerm/metrics/seed_statistics.h"
#include "dmoerm/study/study_run.h"

namespace dmoerm::study {

// A method in a cell on an evaluation set. Shares are of pairs of different rank.
struct SetMeasures {
  double accuracy = 0, routed = 0;  // by the true task's model, by the router's choice (NaN without a router)
  std::map<std::string, double> tasks;  // accuracy by the records' task
  double calibration_error = 0;   // after best_scale, so that a model's unit does not count (NaN without one)
  double length_correlation = 0;  // of rewards and lengths within prompts
};

// What a pool of answers gives.
struct PoolMeasures {
  std::vector<metrics::BestOfNPoint> curve;  // over prompts; proxy in deviations of the pool's rewards
};

struct MethodSeed {
  uint64_t seed = 0;
  std::map<std::string, SetMeasures> sets;  // by the evaluation set's name
  std::map<std::string, PoolMeasures> pools;
  Json facts;  // of MethodRun
};

// A row of the tables: a method in all finished cells of one setting.
struct MethodResult {
  std::string name, title;
  std::vector<MethodSeed> seeds;

  // One value a seed; empty for a set that has none.
  std::vector<double> values(const std::string& set, double SetMeasures::*measure) const;
};

struct SettingResult {
  std::string setting;  // Condition::setting()
  double conflict = 1, size = 1, rank_noise = 0;
  std::vector<MethodResult> methods;  // in the study's order, without those that nothing is finished of
  // The longer answer wins: accuracy by set, and by task. Of the first seed.
  std::map<std::string, SetMeasures> length_only;
  std::map<std::string, std::vector<metrics::BestOfNPoint>>
      ideal;  // best-of-n by the gold reward itself, by pool

  const MethodResult* find(const std::string& method) const;
};

struct StudyResults {
  std::vector<SettingResult> settings;
  std::vector<std::string> missing;  // "CELL: METHOD[: error]"
};

StudyResults collect_results(const StudyConfig& study);

// A method's mean and interval over seeds, and the paired difference to the reference over the seeds of both.
struct Comparison {
  metrics::SeedMean mean;
  metrics::PairedDifference difference;  // of no seeds: NaN
};
Comparison compare(const MethodResult& method, const MethodResult* reference, const std::string& set,
                   double SetMeasures::*measure);

Json curve_json(const std::vector<metrics::BestOfNPoint>& curve);
Json to_json(const StudyResults& results, const StudyConfig& study);
// One line a number: setting, method, seed, set, task ("" for all), measure, value. RFC 4180.
std::string to_csv(const StudyResults& results);

}  // namespace dmoerm::study
