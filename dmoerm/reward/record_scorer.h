// What gives rewards to preference records: a double-layer model, an ensemble, a gated model.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "dmoerm/data/prompt_group.h"

namespace dmoerm::reward {

struct DoubleLayerModel;

struct RecordScore {
  std::string task;                          // the inner model's; "" for a plain classifier
  std::vector<double> task_probs;            // one each router label; empty when the router was skipped
  std::vector<double> rewards;               // one each answer
  std::vector<std::vector<double>> experts;  // [K][answers], raw, in the order of expert_names()
  std::string error;                         // not "": why this record has no rewards
};

// Of all records that were scored.
struct ScorerCounts {
  int64_t records = 0, sequences = 0, tokens = 0;  // computed; tokens: nothing shared
  int64_t routed = 0, unknown_tasks = 0;           // routed because the named task is unknown
  data::EncodeCounts encoded;
};

class RecordScorer {
 public:
  virtual ~RecordScorer() = default;
  // One result a record, in order; a record that cannot be scored gets an error, the others are scored.
  virtual std::vector<RecordScore> score(std::span<const data::PreferenceRecord> records) = 0;
  virtual ScorerCounts counts() const = 0;
  // What each of the score's `experts` judges; "" for one without a name.
  virtual std::vector<std::string> expert_names(const RecordScore& score) const = 0;
  // The model that knows tasks, a router and experts; null where there is none.
  virtual const DoubleLayerModel* double_layer() const { return nullptr; }
};

}  // namespace dmoerm::reward
