// What labels are worth: how often a judge agrees with itself, with people, and one point with another.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "dmoerm/data/reader.h"
#include "dmoerm/label/label_counts.h"

namespace dmoerm::label {

struct PointStatistics {
  std::string task, point;
  LabelCounts counts = {};
  // The largest |correlation| with another point of the task, and that point; "" when no pair of answers has
  // labels in both. Distinctness is 1 less it.
  double correlation = 0;
  std::string nearest = {};
};

// Two points of a task over the pairs of answers that have a kept label in both. The correlation is the mean
// product of the winners as +1 and -1: 2 * agreement - 1, whatever the order of the answers.
struct PointPair {
  std::string task, first, second;
  int64_t both = 0, same = 0;
  double agreement() const { return static_cast<double>(same) / static_cast<double>(both); }
  double correlation() const { return 2 * agreement() - 1; }
};

struct LabelStatistics {
  std::vector<PointStatistics> points;  // in the order of their first labels
  std::vector<PointPair> pairs;         // of points that have pairs of answers in common
  LabelCounts total;
  std::vector<std::string> judges;
  bool has_ranks = false;
  std::vector<std::string> warnings;  // one line each: points that add nothing, a judge that favours a place
};

struct StatisticsOptions {
  std::vector<std::filesystem::path> labels;  // LABELS.jsonl files
  std::vector<std::filesystem::path> data;    // the records, for their ranks; may be empty
  std::string judge;                          // only labels of this judge; "": of all
  data::ReaderOptions reader;
};

// Error for a damaged file, for labels made for other answers than the data's, and when there is no label.
LabelStatistics label_statistics(const StatisticsOptions& options);

}  // namespace dmoerm::label
