// A cell of a study: the data of one condition, its labels, and the runs on them.
// Everything is made once, whichever method or process asks first; a process that needs what another is
// making waits for it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "dmoerm/reward/double_layer_model.h"
#include "dmoerm/study/study_config.h"
#include "dmoerm/study/study_world.h"
#include "dmoerm/train/double_layer_run.h"

namespace dmoerm::study {

class StudyCell {
 public:
  // Nothing is made yet. The folder's name holds a hash of everything that the cell's models depend on but
  // for the dtype, which is one for a whole study (run_study()), and the device, which changes rounding
  // alone: a study may be begun on one and finished on another.
  StudyCell(const StudyConfig& study, const Condition& condition, torch::Device device,
            torch::ScalarType dtype);

  // Data, base and labels.
  void prepare();

  const StudyConfig& study() const { return study_; }
  const Condition& condition() const { return condition_; }
  const fs::path& directory() const { return directory_; }
  const std::vector<data::TaskPoints>& tasks() const { return double_layer_.tasks; }
  models::LoadOptions load_options() const { return {device_, dtype_}; }
  std::vector<EvaluationSet> evaluations() const;
  std::vector<EvaluationSet> pools() const;

  // Configurations of runs in the cell's folder `run`.
  train::RunConfig double_layer(const std::string& run) const;
  train::RunConfig single(const std::string& run) const;
  // The human ranks in place of each point's labels.
  fs::path human_labels() const { return directory_ / "human_labels.jsonl"; }
  // A task's training records in a file of their own.
  fs::path task_records(const data::TaskPoints& task) const;

  // Each returns the model's folder.
  fs::path train(const train::RunConfig& config) const;
  fs::path single_member(int64_t member) const;  // 0: the single model, others differ by their seed
  fs::path dmoerm() const;
  // Calls `make`, which must leave a model in `config.out`/model, unless it is there.
  fs::path make_once(const train::RunConfig& config,
                     const std::function<void(const train::RunOptions&)>& make) const;

 private:
  void make_records();
  void make_labels();
  std::vector<fs::path> label_data() const;
  std::string tasks_setting() const;  // of the double-layer configuration: "builtin" or a file; "": not given
  uint64_t fingerprint() const;

  const StudyConfig& study_;
  Condition condition_;
  torch::Device device_;
  torch::ScalarType dtype_;
  std::optional<StudyWorld> world_;
  train::RunConfig double_layer_, single_;  // as the configurations say, for this seed
  fs::path directory_;
};

}  // namespace dmoerm::study
