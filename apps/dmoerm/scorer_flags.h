// Flags that the commands share that score with a model.
#pragma once

#include <CLI/CLI.hpp>

#include "dmoerm/core/runtime.h"
#include "dmoerm/data/reader.h"
#include "dmoerm/reward/ensemble.h"

namespace dmoerm::app {

struct ScorerFlags {
  std::filesystem::path model;
  reward::ScorerOptions scorer;
  data::ReaderOptions reader;
  RuntimeOptions runtime;
  double base_memory_gb = 0;

  void add_to(CLI::App& command);
  std::unique_ptr<reward::RecordScorer> load();  // sets threads and device first
};

// Says how many sequences were cut, and how many records' tasks are not the model's.
void warn_of_changes(const reward::RecordScorer& scorer);

}  // namespace dmoerm::app
