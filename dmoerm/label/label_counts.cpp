#include "dmoerm/label/label_counts.h"

namespace dmoerm::label {

void LabelCounts::add(const data::CapabilityLabel& label, std::span<const int64_t> ranks) {
  ++labels;
  for (const data::Vote vote : label.ab) {
    answers += vote == data::Vote::A || vote == data::Vote::B;
    first += vote == data::Vote::A;
  }
  for (const data::Vote vote : label.ba) {
    answers += vote == data::Vote::A || vote == data::Vote::B;
    first += vote == data::Vote::B;
  }
  if (!label.kept()) {
    ++reasons[label.reason];
    return;
  }
  ++kept;
  if (ranks.empty() || ranks[label.a] == ranks[label.b]) return;
  ++ranked;
  agreeing += ranks[label.winner()] < ranks[label.loser()];
}

std::string share_text(int64_t part, int64_t whole) {
  if (whole == 0) return "-";
  return fmt::format("{:.1f}%", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

}  // namespace dmoerm::label
