#include "dmoerm/metrics/length_baseline.h"

#include <algorithm>

namespace dmoerm::metrics {
namespace {

double code_points(const std::string& text) {
  return static_cast<double>(
      std::count_if(text.begin(), text.end(), [](unsigned char byte) { return (byte & 0xc0) != 0x80; }));
}

}  // namespace

std::vector<double> answer_lengths(const data::PreferenceRecord& record) {
  std::vector<double> lengths;
  if (record.is_ids) {
    for (const auto& ids : record.response_ids) lengths.push_back(static_cast<double>(ids.size()));
  } else {
    for (const auto& response : record.responses)
      lengths.push_back(code_points(data::response_text(response)));
  }
  return lengths;
}

}  // namespace dmoerm::metrics
