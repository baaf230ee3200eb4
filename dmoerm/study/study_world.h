// The synthetic world of some cells of a study: data, tokenizer and base, made once for all cells with its
// seed and conflict. Other sizes of what is only measured on leave training data and base as they are.
#pragma once

#include "dmoerm/data/world_files.h"
#include "dmoerm/train/double_layer_run.h"

namespace dmoerm::study {

class StudyWorld {
 public:
  // In a folder of study_directory/worlds, whose name holds a hash of all that the training data and the base
  // depend on. Nothing is made yet.
  StudyWorld(const fs::path& study_directory, const data::WorldSizes& sizes, uint64_t seed, double conflict);

  void prepare(torch::Device device, torch::ScalarType dtype) const;

  uint64_t fingerprint() const { return fingerprint_; }  // of training data and base
  const fs::path& directory() const { return directory_; }
  fs::path evaluation(const std::string& name) const { return evaluation_ / (name + ".jsonl"); }

 private:
  data::WorldSizes sizes_;
  uint64_t seed_;
  double conflict_;
  uint64_t fingerprint_;
  fs::path directory_;
  fs::path evaluation_;  // in it, a folder for each size
};

}  // namespace dmoerm::study
