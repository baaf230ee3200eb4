// Sums over labels.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "dmoerm/data/capability_label.h"

namespace dmoerm::label {

struct LabelCounts {
  int64_t labels = 0, kept = 0;
  std::map<std::string, int64_t> reasons;  // of the labels not kept
  int64_t ranked = 0, agreeing = 0;        // kept ones on pairs of different rank; winner ranked better
  int64_t answers = 0, first = 0;          // answers that named a reply; that named the first one shown

  // `ranks` of the record's answers may be empty.
  void add(const data::CapabilityLabel& label, std::span<const int64_t> ranks);
  int64_t because(const std::string& reason) const {
    const auto found = reasons.find(reason);
    return found == reasons.end() ? 0 : found->second;
  }
};

// "12.3%", "-" of nothing.
std::string share_text(int64_t part, int64_t whole);

}  // namespace dmoerm::label
