// Records that are tokenised already: {"prompt_ids", "response_ids": [[int…]…], "ranks"?, "gold"?}, and pairs
// {"chosen_ids", "rejected_ids"}: whole sequences, or what follows "prompt_ids" when that is given.
#include <algorithm>

#include "dmoerm/data/record_fields.h"
#include "dmoerm/data/record_format.h"

namespace dmoerm::data {
namespace {

void read_id_lists(const Json& row, const ReaderOptions&, PreferenceRecord& record) {
  record.is_ids = true;
  record.task = name_field(row, "task");
  if (!row.contains("prompt_ids")) fail(kRecord, "\"prompt_ids\" is missing");
  record.prompt_ids = ids_value(row["prompt_ids"], "\"prompt_ids\"");
  const Json& responses = list_value(row, "response_ids");
  for (size_t i = 0; i < responses.size(); ++i)
    record.response_ids.push_back(ids_value(responses[i], fmt::format("\"response_ids\"[{}]", i)));
  if (row.contains("ranks")) record.ranks = ranks_value(row["ranks"], "\"ranks\"");
  read_gold(row, record);
  record.margin = json_field_or<double>(row, "margin", 0, kRecord);
}

void read_id_pair(const Json& row, const ReaderOptions&, PreferenceRecord& record) {
  record.is_ids = true;
  record.task = name_field(row, "task");
  auto chosen = ids_value(row["chosen_ids"], "\"chosen_ids\"");
  auto rejected = ids_value(row["rejected_ids"], "\"rejected_ids\"");
  if (row.contains("prompt_ids")) {
    record.prompt_ids = ids_value(row["prompt_ids"], "\"prompt_ids\"");
  } else if (!chosen.empty() && !rejected.empty()) {
    // The prompt is what both share; each keeps at least its last token as its answer.
    const size_t shared =
        std::min({static_cast<size_t>(std::ranges::mismatch(chosen, rejected).in1 - chosen.begin()),
                  chosen.size() - 1, rejected.size() - 1});
    record.prompt_ids.assign(chosen.begin(), chosen.begin() + shared);
    chosen.erase(chosen.begin(), chosen.begin() + shared);
    rejected.erase(rejected.begin(), rejected.begin() + shared);
  }
  record.response_ids = {std::move(chosen), std::move(rejected)};
  record.ranks = {1, 2};
  record.margin = json_field_or<double>(row, "margin", 0, kRecord);
}

}  // namespace

RecordFormat token_ids_format() {
  return {"token ids", "prompt_ids, response_ids",
          [](const Json& row) { return row.contains("response_ids"); }, read_id_lists};
}

RecordFormat token_id_pairs_format() {
  return {"token id pairs", "chosen_ids, rejected_ids",
          [](const Json& row) {
            return has_keys(row, {"chosen_ids", "rejected_ids"});
          },
          read_id_pair};
}

}  // namespace dmoerm::data
