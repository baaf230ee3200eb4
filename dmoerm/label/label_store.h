// Capability labels on disk: LABELS.jsonl, one line for each finished label, LABELS.calls beside it, an
// append-only journal of every answer that a judge gave, and LABELS.raw, the judges' whole answers. Killed at
// any moment, nothing answered is asked again.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "dmoerm/core/file.h"
#include "dmoerm/data/capability_label.h"
#include "dmoerm/label/judge.h"
#include "dmoerm/label/line_log.h"

namespace dmoerm::label {

enum class Order { AB, BA };  // which answer is shown first

struct StoreOptions {
  bool retry_failed = false;  // failed labels and calls count as not there
  bool keep_raw = false;      // write LABELS.raw
  bool read_only = false;     // write nothing, hold nothing
};

// In every call `wanted` names the label by its id, point, judge, a, b and hash. For one thread; one process
// at a time holds the store (Error for a second one). Memory: some 60 bytes a label.
class LabelStore {
 public:
  // Opens or creates `path` (LABELS.jsonl). Error, with file and line, for a damaged line.
  explicit LabelStore(std::filesystem::path path, const StoreOptions& options = {});

  // The finished label. Error when it was made for other answers.
  std::optional<data::CapabilityLabel> find(const data::CapabilityLabel& wanted) const;
  // The answer to one call that an earlier run asked and that belongs to no finished label yet.
  std::optional<data::Vote> answered(const data::CapabilityLabel& wanted, Order order, int64_t vote) const;

  void add_call(const data::CapabilityLabel& wanted, Order order, int64_t vote, data::Vote answer,
                const Verdict& verdict);
  // Tokens spent on a call that has no answer and stays open; without any, nothing is written.
  void add_spent(const data::CapabilityLabel& wanted, Order order, int64_t vote, const Tokens& tokens);
  void add_label(const data::CapabilityLabel& label);

  // Rewrites LABELS.jsonl with one line for each label where later lines have replaced failed ones.
  void compact();

  size_t num_labels() const { return labels_.size(); }
  Tokens tokens(const std::string& judge) const;  // of all lines of the journal

 private:
  // 128 bits of a label's key: two labels never share them.
  struct Digest {
    uint64_t low, high;
    bool operator==(const Digest&) const = default;
  };
  struct DigestHash {
    size_t operator()(const Digest& digest) const { return digest.low; }
  };
  struct Line {
    uint64_t begin = 0;
    uint32_t size = 0;
    bool failed = false;
  };
  struct Call {
    Order order;
    int64_t vote;
    data::Vote answer;
  };
  static Digest digest(const std::string& key);
  static Digest call_digest(const data::CapabilityLabel& label);

  void read_labels();
  void read_calls();
  void remember(const data::CapabilityLabel& label, uint64_t begin, size_t size);
  void add_tokens(Json& call, const Tokens& tokens);
  void remember_call(const data::CapabilityLabel& label, Order order, int64_t vote, data::Vote answer);

  std::filesystem::path path_;
  StoreOptions options_;
  std::optional<FileLock> lock_;
  std::unique_ptr<LineLog> label_log_, call_log_, raw_log_;
  std::unordered_map<Digest, Line, DigestHash> labels_;  // where the latest line of each stands
  std::unordered_map<Digest, std::vector<Call>, DigestHash> open_calls_;  // of unfinished labels
  std::map<std::string, Tokens> tokens_;                                  // by judge
  size_t num_lines_ = 0;                                                  // of LABELS.jsonl
};

}  // namespace dmoerm::label
