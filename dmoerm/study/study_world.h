// The synthetic world of some cells of a study: data, tokenizer and base, made once for all cells with its
// seed and conflict.
#pragma once

#include "dmoerm/data/world_files.h"
#include "dmoerm/train/double_layer_run.h"

namespace dmoerm::study {

class StudyWorld {
 public:
  // In a folder of study_directory/worlds, whose name holds a hash of all that follows. Nothing is made yet.
  StudyWorld(const fs::path& study_directory, const data::WorldSizes& sizes, uint64_t seed, double conflict);

  void prepare(torch::Device device, torch::ScalarType dtype) const;

  uint64_t fingerprint() const { return fingerprint_; }
  const fs::path& directory() const { return directory_; }
  fs::path data(const std::string& name) const { return directory_ / "world" / (name + ".jsonl"); }

 private:
  data::WorldSizes sizes_;
  uint64_t seed_;
  double conflict_;
  uint64_t fingerprint_;
  fs::path directory_;
};

}  // namespace dmoerm::study
