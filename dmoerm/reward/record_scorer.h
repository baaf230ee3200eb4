// What gives rewards to preference records: a double-layer model, an ensemble, a gated model.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "dmoerm/data/preference_record.h"

namespace dmoerm::reward {

struct RecordScore {
  std::string task;                          // the inner model's; "" for a plain classifier
  std::vector<double> task_probs;            // one each router label; empty when the router was skipped
  std::vector<double> rewards;               // one each answer
  std::vector<std::vector<double>> experts;  // [K][answers], raw, in the order of the inner model's experts
  std::string error;                         // not "": why this record has no rewards
};

class RecordScorer {
 public:
  virtual ~RecordScorer() = default;
  // One result a record, in order; a record that cannot be scored gets an error, the others are scored.
  virtual std::vector<RecordScore> score(std::span<const data::PreferenceRecord> records) = 0;
};

}  // namespace dmoerm::reward
