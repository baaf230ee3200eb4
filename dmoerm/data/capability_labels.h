// The kept capability labels of a data set, as training uses them.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "dmoerm/data/capability_label.h"
#include "dmoerm/data/preference_record.h"

namespace dmoerm::data {

// In respect of point point_names()[point] the record's answer `winner` is better than `loser`.
struct CapabilityEdge {
  int32_t point = 0, winner = 0, loser = 0;
};

// answers_hash() as it stands in a label.
std::string answers_hash_text(const PreferenceRecord& record);

class CapabilityLabels {
 public:
  // Reads LABELS.jsonl files (plain, .gz, .zst). A later line for the same (id, point, a, b, judge) replaces
  // an earlier one. Error for a damaged line, with file and line, and for a record labelled with two sets of
  // answers.
  static CapabilityLabels load(const std::vector<std::filesystem::path>& paths);
  static CapabilityLabels from_labels(std::span<const CapabilityLabel> labels);

  // All points, in the order of their first label, kept or not; and those of one task (empty: an unlabelled
  // task).
  const std::vector<std::string>& point_names() const { return point_names_; }
  std::vector<std::string> points(const std::string& task) const;

  // The kept labels of the record, sorted by point; empty when it has none. Error when the labels were made
  // for other answers (their hash differs).
  std::span<const CapabilityEdge> edges(const PreferenceRecord& record) const;
  std::span<const CapabilityEdge> edges(const std::string& id, uint64_t answers_hash,
                                        size_t num_answers) const;

  const std::set<std::string>& judges() const { return judges_; }  // all that made a label
  size_t num_records() const { return records_.size(); }           // with a label, kept or not
  size_t num_labels() const { return num_labels_; }
  size_t num_kept() const { return num_kept_; }

 private:
  struct Record {
    std::string hash;
    std::vector<CapabilityEdge> edges;
  };
  void add(const CapabilityLabel& label);

  std::vector<std::string> point_names_;
  std::set<std::string> judges_;
  std::map<std::string, std::vector<int32_t>> points_of_task_;
  std::unordered_map<std::string, Record> records_;
  size_t num_labels_ = 0, num_kept_ = 0;
};

}  // namespace dmoerm::data
