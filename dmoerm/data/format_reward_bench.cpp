// RewardBench 1 rows {"prompt", "chosen", "rejected", "subset"} and RewardBench 2 rows, whose "chosen" and
// "rejected" are lists. The text prompt is a user turn; the subset is the task.
#include "dmoerm/data/record_fields.h"
#include "dmoerm/data/record_format.h"

namespace dmoerm::data {
namespace {

void read_answers(const Json& row, const std::string& key, int64_t rank, PreferenceRecord& record) {
  const Json& value = row[key];
  const std::string name = fmt::format("\"{}\"", key);
  if (value.is_array()) {
    for (const Json& item : value)
      record.responses.push_back(assistant_says(text_value(item, name + "'s item")));
  } else {
    record.responses.push_back(assistant_says(text_value(value, name)));
  }
  record.ranks.resize(record.responses.size(), rank);
}

void read_reward_bench(const Json& row, const ReaderOptions& options, PreferenceRecord& record) {
  record.task = name_field(row, "subset");
  ReaderOptions as_turn = options;
  as_turn.text_as_turn = true;
  read_prompt(row, as_turn, record);
  read_answers(row, "chosen", 1, record);
  read_answers(row, "rejected", 2, record);
}

}  // namespace

RecordFormat reward_bench_format() {
  return {"RewardBench", "prompt, chosen, rejected, subset",
          [](const Json& row) {
            return has_keys(row, {"prompt", "chosen", "rejected"}) &&
                   (row.contains("subset") || row.contains("num_correct"));
          },
          read_reward_bench};
}

}  // namespace dmoerm::data
