// Asks a judge about the answers of records, each pair in both orders, and keeps what it says in a store. As
// many labels are open as the judge takes questions at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "dmoerm/data/capability_label.h"
#include "dmoerm/data/preference_record.h"
#include "dmoerm/data/task_points.h"
#include "dmoerm/label/judge.h"
#include "dmoerm/label/label_counts.h"
#include "dmoerm/label/label_store.h"

namespace dmoerm::label {

struct LabelOptions {
  int64_t votes = 1;            // calls for each order; the majority counts
  int64_t max_pairs = 0;        // of a record, a seeded choice; 0: all
  bool drop_rank_ties = false;  // pairs that people ranked equal are not asked
  bool drop_ties = false;       // pairs that the judge knows to be equal at the point are not asked
  uint64_t seed = 1;            // of the choice of pairs
  int64_t expected_calls = 0;   // for the progress line; 0: unknown, -1: no progress line
};

// Sums over labels, made now or found in the store.
struct LabelSummary {
  // [task, point], in the order of the tasks.
  std::vector<std::pair<std::pair<std::string, std::string>, LabelCounts>> points;
  LabelCounts total;
  int64_t records = 0, calls = 0, failed_calls = 0, reused_labels = 0;
  int64_t failed_before = 0;                     // of the reused ones
  int64_t unasked_calls = 0, open_labels = 0;    // not asked, so not in the store
  int64_t repeated_records = 0;                  // the same id, prompt and answers once more: skipped
  std::map<std::string, int64_t> unknown_tasks;  // records skipped
  std::string judge;                             // what the judge says of its work
  LabelCounts& of(const std::string& task, const std::string& point);
  std::string to_text() const;  // a table
};

// Pairs (a, b), a < b, of the record's answers that are to be judged. Equal answers are never paired.
std::vector<std::pair<int32_t, int32_t>> pairs_to_judge(const data::PreferenceRecord& record,
                                                        const LabelOptions& options);

// Labels every record that `next` gives. Error when the judge cannot judge a point of `tasks`, and for an id
// that stands for two prompts or two sets of answers.
LabelSummary label_records(const std::function<bool(data::PreferenceRecord&)>& next,
                           const std::vector<data::TaskPoints>& tasks, Judge& judge, LabelStore& store,
                           const LabelOptions& options = {});

}  // namespace dmoerm::label
