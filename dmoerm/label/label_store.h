// Capability labels on disk: LABELS.jsonl, one line for each finished label, and LABELS.calls beside it, an
// append-only journal of every answer that a judge gave. Killed at any moment, nothing answered is asked
// again.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "dmoerm/core/file.h"
#include "dmoerm/data/capability_label.h"
#include "dmoerm/label/line_log.h"

namespace dmoerm::label {

enum class Order { AB, BA };  // which answer is shown first

// In every call `wanted` names the label by its id, point, judge, a, b and hash. For one thread; one process
// at a time holds the store (Error for a second one).
class LabelStore {
 public:
  // Opens or creates `path` (LABELS.jsonl). Error, with file and line, for a damaged line.
  explicit LabelStore(std::filesystem::path path);

  // The label when it is finished and did not fail. Error when it was made for other answers.
  const data::CapabilityLabel* find(const data::CapabilityLabel& wanted) const;
  // The answer to one call that an earlier run asked and that belongs to no finished label yet.
  std::optional<data::Vote> answered(const data::CapabilityLabel& wanted, Order order, int64_t vote) const;

  // `text`: what the judge said. A failed call is not kept: it will be asked again.
  void add_call(const data::CapabilityLabel& wanted, Order order, int64_t vote, data::Vote answer,
                const std::string& text);
  void add_label(const data::CapabilityLabel& label);

  // Rewrites LABELS.jsonl with one line for each label where later lines have replaced failed ones.
  void compact();

  size_t num_labels() const { return labels_.size(); }

 private:
  void read_labels();
  void read_calls();
  void remember(const data::CapabilityLabel& label);

  std::filesystem::path path_;
  FileLock lock_;
  std::unique_ptr<LineLog> label_log_, call_log_;
  std::vector<data::CapabilityLabel> labels_;  // the latest of each, in the order of their first lines
  std::unordered_map<std::string, size_t> position_;
  using Call = std::pair<Order, int64_t>;
  std::unordered_map<std::string, std::map<Call, data::Vote>> open_calls_;  // of unfinished labels
  size_t num_lines_ = 0;                                                    // of LABELS.jsonl
};

}  // namespace dmoerm::label
