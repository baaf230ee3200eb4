// What `dmoerm label` does: preference files in, LABELS.jsonl out.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "dmoerm/data/reader.h"
#include "dmoerm/label/labeller.h"

namespace dmoerm::label {

struct LabelRun {
  std::vector<std::filesystem::path> data = {};
  std::filesystem::path out = {};        // LABELS.jsonl
  std::string judge = "builtin";         // "builtin" measures text; "world" knows the synthetic world
  std::filesystem::path tasks = {};      // a tasks file; empty: `points`, or the paper's five tasks
  std::vector<std::string> points = {};  // the same points for every task
  data::ReaderOptions reader = {};
  LabelOptions options = {};
};

// Labels what LABELS.jsonl does not hold yet. Error for a bad setting or record.
LabelSummary label_files(const LabelRun& run);

}  // namespace dmoerm::label
