// The runs of a study: every method in every cell, each once, by any number of processes.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "dmoerm/core/json.h"
#include "dmoerm/study/method.h"
#include "dmoerm/study/study_cell.h"

namespace dmoerm::study {

// A method in a cell: what it gives to each evaluation set and pool, and what is known of the model.
class MethodRun {
 public:
  MethodRun(const StudyCell& cell, const Method& method);

  bool finished() const;
  // Trains and scores what is missing. An Error is written to error.txt as well as thrown.
  void run();

  fs::path rewards_file(const EvaluationSet& set) const;
  // {"seconds": of training and scoring, "disturbance"?: {"tasks": […], "accuracy": [[trained on i, tested on
  // j]…]}, "contributions"?: {task: {point: share}}}.
  fs::path facts_file() const { return directory_ / "facts.json"; }
  std::optional<std::string> error() const;  // why the last try failed

 private:
  std::vector<EvaluationSet> sets() const;

  const StudyCell& cell_;
  const Method& method_;
  fs::path directory_;
};

struct RunCounts {
  int64_t finished = 0, total = 0;
};
// Cells of all conditions; `study` must outlive them.
std::vector<StudyCell> make_cells(const StudyConfig& study, torch::Device device, torch::ScalarType dtype);
RunCounts count_runs(const StudyConfig& study, const std::vector<StudyCell>& cells);

// Runs what no other process is at. A method that fails in a cell is passed over. Returns the number of
// failures. Error when there is something to run and the study was begun with another dtype: numbers of two
// are not compared in one table.
int64_t run_study(const StudyConfig& study, torch::Device device, torch::ScalarType dtype);

}  // namespace dmoerm::study
