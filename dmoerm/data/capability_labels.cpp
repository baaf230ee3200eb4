#include "dmoerm/data/capability_labels.h"

#include <algorithm>

#include "dmoerm/core/file.h"

namespace dmoerm::data {
namespace {

std::string hash_text(uint64_t hash) {
  return fmt::format("{:016x}", hash);
}

int32_t index_of(std::vector<std::string>& names, const std::string& name) {
  const auto index = std::find(names.begin(), names.end(), name) - names.begin();
  if (index == std::ssize(names)) names.push_back(name);
  return static_cast<int32_t>(index);
}

// The labels of one file or list in which a later one has replaced an earlier one of the same key.
class LatestLabels {
 public:
  void add(CapabilityLabel label) {
    const auto [position, added] = position_.try_emplace(label_key(label), labels_.size());
    if (added)
      labels_.push_back(std::move(label));
    else
      labels_[position->second] = std::move(label);
  }
  const std::vector<CapabilityLabel>& labels() const { return labels_; }

 private:
  std::unordered_map<std::string, size_t> position_;
  std::vector<CapabilityLabel> labels_;
};

}  // namespace

CapabilityLabels CapabilityLabels::load(const std::vector<fs::path>& paths) {
  LatestLabels latest;
  for (const fs::path& path : paths) {
    LineReader reader(path);
    for (std::string line; reader.next(line);) {
      if (line.empty()) continue;
      const std::string where = fmt::format("{}:{}", path.string(), reader.line_number());
      latest.add(label_from_json(parse_json(line, where), where));
    }
  }
  return from_labels(latest.labels());
}

CapabilityLabels CapabilityLabels::from_labels(std::span<const CapabilityLabel> labels) {
  LatestLabels latest;
  for (const CapabilityLabel& label : labels) latest.add(label);
  CapabilityLabels result;
  for (const CapabilityLabel& label : latest.labels()) result.add(label);
  for (auto& [id, record] : result.records_)
    std::stable_sort(record.edges.begin(), record.edges.end(),
                     [](const CapabilityEdge& x, const CapabilityEdge& y) { return x.point < y.point; });
  return result;
}

void CapabilityLabels::add(const CapabilityLabel& label) {
  const int32_t point = index_of(point_names_, label.point);
  std::vector<int32_t>& of_task = points_of_task_[label.task];
  if (std::find(of_task.begin(), of_task.end(), point) == of_task.end()) of_task.push_back(point);
  Record& record = records_[label.id];
  if (record.hash.empty()) record.hash = label.hash;
  if (record.hash != label.hash)
    fail("labels", "record {} has labels for two different sets of answers ({} and {})", label.id,
         record.hash, label.hash);
  ++num_labels_;
  judges_.insert(label.judge);
  if (!label.kept()) return;
  ++num_kept_;
  record.edges.push_back({point, label.winner(), label.loser()});
}

std::vector<std::string> CapabilityLabels::points(const std::string& task) const {
  std::vector<std::string> names;
  const auto points = points_of_task_.find(task);
  if (points == points_of_task_.end()) return names;
  for (const int32_t point : points->second) names.push_back(point_names_[point]);
  return names;
}

std::span<const CapabilityEdge> CapabilityLabels::edges(const PreferenceRecord& record) const {
  return edges(record.id, answers_hash(record), record.num_answers());
}

std::span<const CapabilityEdge> CapabilityLabels::edges(const std::string& id, uint64_t hash,
                                                        size_t num_answers) const {
  const auto found = records_.find(id);
  if (found == records_.end()) return {};
  if (found->second.hash != hash_text(hash))
    fail("labels",
         "record {}: the labels were made for other answers (hash {}, now {}); label the data again", id,
         found->second.hash, hash_text(hash));
  for (const CapabilityEdge& edge : found->second.edges)
    if (std::max(edge.winner, edge.loser) >= static_cast<int64_t>(num_answers))
      fail("labels", "record {}: a label names answer {}, found {} answers", id,
           std::max(edge.winner, edge.loser), num_answers);
  return found->second.edges;
}

std::string answers_hash_text(const PreferenceRecord& record) {
  return hash_text(answers_hash(record));
}

}  // namespace dmoerm::data
