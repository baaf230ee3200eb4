// What a method gives to the records of an evaluation set, kept in a file: everything that is measured is
// computed from these.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dmoerm/data/reader.h"
#include "dmoerm/reward/record_scorer.h"

namespace dmoerm::study {

// One record of an evaluation set, as far as measures need it.
struct EvaluationRecord {
  std::string task;
  uint64_t prompt = 0;
  std::vector<int64_t> ranks;
  std::vector<double> gold;     // empty where it is not known
  std::vector<double> lengths;  // characters of each answer
};

// Gold where it is known; else 1 for the answers of the best rank and 0 for the others.
std::vector<double> gold_values(const EvaluationRecord& record);

std::vector<EvaluationRecord> load_records(const std::vector<std::filesystem::path>& files,
                                           const data::ReaderOptions& options = {});

struct RecordRewards {
  std::vector<double> rewards;  // by the true task's model
  std::vector<double> routed;   // by the router's choice; empty for a method without a router
  std::string route;            // the task that the router chose
};

// Scores every record. Error for one that cannot be scored. `records`: where to put what load_records() would
// give, of the same pass (a stream is read only once).
std::vector<RecordRewards> score_records(reward::RecordScorer& scorer,
                                         const std::vector<std::filesystem::path>& files,
                                         const data::ReaderOptions& options = {},
                                         std::vector<EvaluationRecord>* records = nullptr);

void save_rewards(const std::filesystem::path& path, const std::vector<RecordRewards>& rewards);
std::vector<RecordRewards> load_rewards(const std::filesystem::path& path);

}  // namespace dmoerm::study
