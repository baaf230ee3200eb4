// The methods that a study compares: how each makes a reward model from a cell's data. A method is a function
// in method_<name>.cpp and a row of the table in method.cpp.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dmoerm/reward/record_scorer.h"
#include "dmoerm/reward/task_router.h"
#include "dmoerm/study/study_cell.h"

namespace dmoerm::study {

struct Method {
  std::string name;   // in configurations and files
  std::string title;  // in tables
  bool uses_labels = false;
  std::unique_ptr<reward::RecordScorer> (*make)(const StudyCell& cell, const Method& method) = nullptr;
  int64_t count = 0;  // "experts_3": 3
  // The study's keys that change its rewards but not the cell; null: none.
  std::string (*settings)(const StudyConfig& study) = nullptr;
};

const std::vector<Method>& all_methods();
// Error that names the nearest one.
const Method& find_method(const std::string& name);

using ScorerPointer = std::unique_ptr<reward::RecordScorer>;

// DMoERM's own, for methods that have no router and are asked about records of unknown task.
std::optional<reward::TaskRouter> dmoerm_router(const StudyCell& cell);  // method_double_layer.cpp

// The rows of the table, by file.
ScorerPointer make_single(const StudyCell& cell, const Method&);  // method_single.cpp
ScorerPointer make_per_task(const StudyCell& cell, const Method&);
ScorerPointer make_one_inner(const StudyCell& cell, const Method&);      // method_one_inner.cpp
ScorerPointer make_ensemble_mean(const StudyCell& cell, const Method&);  // method_ensemble.cpp
ScorerPointer make_ensemble_worst(const StudyCell& cell, const Method&);
ScorerPointer make_ensemble_uncertainty(const StudyCell& cell, const Method&);
std::string ensemble_settings(const StudyConfig& study);  // without λ, which one rule alone uses
std::string ensemble_uncertainty_settings(const StudyConfig& study);
ScorerPointer make_armorm(const StudyCell& cell, const Method&);           // armorm.cpp
ScorerPointer make_multi_objective(const StudyCell& cell, const Method&);  // method_multi_objective.cpp
ScorerPointer make_human_only(const StudyCell& cell, const Method&);       // method_double_layer.cpp
ScorerPointer make_sum(const StudyCell& cell, const Method&);
ScorerPointer make_linear(const StudyCell& cell, const Method&);
ScorerPointer make_experts(const StudyCell& cell, const Method&);
ScorerPointer make_random_start(const StudyCell& cell, const Method&);
ScorerPointer make_soft_top2(const StudyCell& cell, const Method&);
ScorerPointer make_other_form(const StudyCell& cell, const Method&);
ScorerPointer make_warm_start(const StudyCell& cell, const Method&);
ScorerPointer make_dmoerm(const StudyCell& cell, const Method&);

}  // namespace dmoerm::study
