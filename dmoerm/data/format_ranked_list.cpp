// Ranked lists as in mtmc-rlhf: {"label": task, "src": user turns, "tgt": assistant turns but the last,
// "response": [text…], "rank": [int…]}; a lower rank is better.
#include "dmoerm/data/record_fields.h"
#include "dmoerm/data/record_format.h"

namespace dmoerm::data {
namespace {

std::vector<std::string> turns(const Json& row, const std::string& key) {
  const auto field = row.find(key);
  if (field == row.end() || field->is_null()) return {};
  const std::string name = fmt::format("\"{}\"", key);
  if (field->is_string()) return {field->get<std::string>()};
  std::vector<std::string> texts;
  for (const Json& item : list_value(row, key)) texts.push_back(text_value(item, name + "'s item"));
  return texts;
}

void read_ranked_list(const Json& row, const ReaderOptions&, PreferenceRecord& record) {
  record.task = name_field(row, "label");
  const auto user = turns(row, "src"), assistant = turns(row, "tgt");
  if (user.size() != assistant.size() + 1)
    fail(kRecord, "\"src\" has {} turns and \"tgt\" {}, expected one less in \"tgt\"", user.size(),
         assistant.size());
  for (size_t i = 0; i < user.size(); ++i) {
    if (i > 0) record.messages.push_back({"assistant", assistant[i - 1]});
    record.messages.push_back({"user", user[i]});
  }
  for (const Json& response : list_value(row, "response"))
    record.responses.push_back(assistant_says(text_value(response, "\"response\"'s item")));
  if (row.contains("rank")) record.ranks = ranks_value(row["rank"], "\"rank\"");
}

}  // namespace

RecordFormat ranked_list_format() {
  return {"ranked list", "src, tgt, response, rank, label",
          [](const Json& row) {
            return has_keys(row, {"src", "response"});
          },
          read_ranked_list};
}

}  // namespace dmoerm::data
