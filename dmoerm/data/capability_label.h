// One capability label: which of two answers of a record a judge found better in respect of one point.
// A line of LABELS.jsonl.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dmoerm/core/json.h"

namespace dmoerm::data {

// A judge's single answer, already turned back from the order in which the replies were shown.
enum class Vote { A, B, Tie, Unparsed, Failed };

struct CapabilityLabel {
  std::string id, task, point, judge;
  int32_t a = 0, b = 0;        // answers of the record, a < b
  std::string hash;            // of the record's answers, hexadecimal
  std::vector<Vote> ab, ba;    // votes with a shown first, and with b shown first
  std::optional<bool> a_wins;  // empty: not kept, and `reason` says why
  std::string reason;          // "", "disagree", "tie", "unparsed" or "failed"

  bool kept() const { return a_wins.has_value(); }
  bool failed() const { return reason == "failed"; }
  int32_t winner() const { return *a_wins ? a : b; }
  int32_t loser() const { return *a_wins ? b : a; }
};

// Sets a_wins and reason from the votes. An order's verdict is the majority of its votes; a label is kept
// when both orders name the same answer. One failed call makes the label failed: it is asked again later.
void decide(CapabilityLabel& label);

// Equal for labels of which the later replaces the earlier: (id, point, a, b, judge).
std::string label_key(const CapabilityLabel& label);

Json to_json(const CapabilityLabel& label);
CapabilityLabel label_from_json(const Json& json, std::string_view where);  // Error that starts with `where`

}  // namespace dmoerm::data
