// Evaluation of a reward model on ranked answers: accuracy per task and overall, with the true task and with
// the router, intervals, and the length-only baseline beside them.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "dmoerm/core/json.h"
#include "dmoerm/data/reader.h"
#include "dmoerm/metrics/pairwise_accuracy.h"
#include "dmoerm/reward/record_scorer.h"

namespace dmoerm::metrics {

struct EvaluationOptions {
  std::vector<std::filesystem::path> files;
  data::ReaderOptions reader;
  uint64_t seed = 0;  // of the bootstrap
  // Called for every record, in order, with its rewards by the true task's model.
  std::function<void(const data::PreferenceRecord&, const std::vector<double>&)> on_record = {};
};

// One row of the table.
struct TaskEvaluation {
  std::string
      task;  // as the model calls it; a name that it does not know as the records call it; "" without one
  int64_t records = 0;
  // By the true task's model (by the router's where the record names no task that the model knows).
  std::vector<PromptPairs> accuracy;
  std::vector<PromptPairs> routed;  // by the router's choice for every record; empty without a router
  std::vector<PromptPairs> length;  // the longer answer wins (characters; tokens for records of ids)
  int64_t router_right = 0, router_records = 0;  // over records whose task the model knows
};

struct Evaluation {
  std::vector<TaskEvaluation> tasks;  // in the model's order, then unknown ones
  TaskEvaluation overall;
  int64_t bad_lines = 0;  // skipped
  data::EncodeCounts encoded;
  double seconds = 0;
  int64_t tokens = 0;  // nothing shared

  // {"overall": row, "tasks": [row…], …}; a row: {"task", "records", "prompts", "pairs", "accuracy",
  // "interval", "routed_accuracy", "routed_interval", "length_accuracy", "router_accuracy"}.
  Json to_json(uint64_t seed) const;
  std::string to_table(uint64_t seed) const;
};

// Error for a bad line (unless reader.skip_bad) and for a record that the model cannot score.
Evaluation evaluate(reward::RecordScorer& scorer, const EvaluationOptions& options);

}  // namespace dmoerm::metrics
