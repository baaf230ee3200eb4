// Best-of-n rows as RMB publishes them: {"conversation_input": messages, "bon_best": {"answer"},
// "loser_list": [{"answer"}…]}, and its pairs: {"conversation_input", "chosen": {"answer"}, "reject":
// {"answer"}}.
#include "dmoerm/data/record_fields.h"
#include "dmoerm/data/record_format.h"

namespace dmoerm::data {
namespace {

Response answer_of(const Json& value, const std::string& name) {
  if (!value.is_object())
    fail(kRecord, "{} is {}, expected an object with \"answer\"", name, json_kind(value));
  return assistant_says(json_field<std::string>(value, "answer", kRecord));
}

void read_start(const Json& row, const char* id, PreferenceRecord& record) {
  if (record.id.empty()) record.id = name_field(row, id);
  record.task = name_field(row, "category_path");
  record.messages = messages_value(row["conversation_input"], "\"conversation_input\"");
}

void read_list(const Json& row, const ReaderOptions&, PreferenceRecord& record) {
  read_start(row, "bon_uid", record);
  record.responses.push_back(answer_of(row["bon_best"], "\"bon_best\""));
  for (const Json& loser : list_value(row, "loser_list"))
    record.responses.push_back(answer_of(loser, "\"loser_list\"'s item"));
  record.ranks.assign(record.responses.size(), 2);
  record.ranks[0] = 1;
}

void read_pair(const Json& row, const ReaderOptions&, PreferenceRecord& record) {
  read_start(row, "pair_uid", record);
  set_pair(row, record, answer_of(row["chosen"], "\"chosen\""), answer_of(row["reject"], "\"reject\""));
}

}  // namespace

RecordFormat best_of_n_format() {
  return {"best of n", "conversation_input, bon_best, loser_list",
          [](const Json& row) {
            return has_keys(row, {"conversation_input", "bon_best"});
          },
          read_list};
}

RecordFormat best_of_n_pair_format() {
  return {"best of n, pairs", "conversation_input, chosen, reject",
          [](const Json& row) {
            return has_keys(row, {"conversation_input", "chosen", "reject"});
          },
          read_pair};
}

}  // namespace dmoerm::data
