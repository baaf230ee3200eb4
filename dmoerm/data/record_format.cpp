#include "dmoerm/data/record_format.h"

#include <vector>

#include "dmoerm/core/hash.h"
#include "dmoerm/data/record_fields.h"

namespace dmoerm::data {
namespace {

const RecordFormat& format_of(const Json& row) {
  for (const RecordFormat& format : record_formats())
    if (format.matches(row)) return format;
  std::string found, known;
  for (const auto& [key, value] : row.items())
    found += (found.empty() ? "" : ", ") + Json(key).dump(-1, ' ', true).substr(0, 60);
  if (found.size() > 300) found = found.substr(0, 300) + "...";
  for (const RecordFormat& format : record_formats()) known += (known.empty() ? "" : "; ") + format.keys;
  fail(kRecord, "unknown format: found the keys {}, expected those of one of: {}",
       found.empty() ? "(none)" : found, known);
}

bool is_empty(const Response& response) {
  for (const Message& message : response)
    if (!message.content.empty()) return false;
  return true;
}

void check(const PreferenceRecord& record, const ReaderOptions& options) {
  const size_t answers = record.num_answers();
  if (answers == 0) fail(kRecord, "there are no responses, expected at least one");
  if (record.ranks.empty() && options.require_ranks) fail(kRecord, "\"ranks\" is missing");
  if (!record.ranks.empty() && record.ranks.size() != answers)
    fail(kRecord, "there are {} ranks, expected {}: one for each response", record.ranks.size(), answers);
  for (size_t i = 0; i < answers; ++i) {
    const bool empty = record.is_ids ? record.response_ids[i].empty() : is_empty(record.responses[i]);
    if (empty && options.require_ranks) fail(kRecord, "response {} is empty", i);
    if (record.is_ids && empty && record.prompt_ids.empty())
      fail(kRecord, "response {} and the prompt have no tokens", i);
  }
}

}  // namespace

std::span<const RecordFormat> record_formats() {
  static const std::vector<RecordFormat> formats = {
      token_ids_format(),    token_id_pairs_format(),  native_format(),
      ranked_list_format(),  best_of_n_format(),       best_of_n_pair_format(),
      reward_bench_format(), transcript_pair_format(), pair_format(),
  };
  return formats;
}

PreferenceRecord parse_record(std::string_view line, const ReaderOptions& options) {
  const Json row = parse_json(line, kRecord);
  if (!row.is_object()) fail(kRecord, "the line is {}, expected one JSON object a line", json_kind(row));
  refuse_tools(row, "tools", "the line");
  PreferenceRecord record;
  record.id = name_field(row, "id");
  format_of(row).read(row, options, record);
  check(record, options);
  if (record.id.empty())
    record.id = fmt::format("{:016x}", hash_combine(prompt_hash(record), answers_hash(record)));
  return record;
}

}  // namespace dmoerm::data
