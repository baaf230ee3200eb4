#include "dmoerm/metrics/length_baseline.h"

#include "dmoerm/text/utf8.h"

namespace dmoerm::metrics {

std::vector<double> answer_lengths(const data::PreferenceRecord& record) {
  std::vector<double> lengths;
  if (record.is_ids) {
    for (const auto& ids : record.response_ids) lengths.push_back(static_cast<double>(ids.size()));
  } else {
    for (const auto& response : record.responses)
      lengths.push_back(static_cast<double>(text::count_characters(data::response_text(response))));
  }
  return lengths;
}

}  // namespace dmoerm::metrics
