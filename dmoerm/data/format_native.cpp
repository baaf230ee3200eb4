// The native format: {"id"?, "task"?, "prompt": text | messages, "responses": [text | messages…], "ranks":
// [int…], "margin"?, "gold"?: [number…]}.
#include "dmoerm/data/record_fields.h"
#include "dmoerm/data/record_format.h"

namespace dmoerm::data {
namespace {

void read_native(const Json& row, const ReaderOptions& options, PreferenceRecord& record) {
  record.task = name_field(row, "task");
  read_prompt(row, options, record);
  const Json& responses = list_value(row, "responses");
  for (size_t i = 0; i < responses.size(); ++i) {
    const std::string name = fmt::format("\"responses\"[{}]", i);
    const Json& response = responses[i];
    if (response.is_array() && record.is_text)
      fail(kRecord, "{} is a list of messages, but the prompt is raw text", name);
    record.responses.push_back(response.is_array() ? messages_value(response, name)
                                                   : assistant_says(text_value(response, name)));
  }
  if (row.contains("ranks")) record.ranks = ranks_value(row["ranks"], "\"ranks\"");
  record.margin = json_field_or<double>(row, "margin", 0, kRecord);
  read_gold(row, record);
}

using OrderedJson = nlohmann::ordered_json;

OrderedJson messages_json(const std::vector<Message>& messages) {
  OrderedJson list = OrderedJson::array();
  for (const Message& message : messages)
    list.push_back({{"role", message.role}, {"content", message.content}});
  return list;
}

}  // namespace

RecordFormat native_format() {
  return {"native", "prompt, responses, ranks", [](const Json& row) { return row.contains("responses"); },
          read_native};
}

std::string to_native(const PreferenceRecord& record) {
  OrderedJson row = {{"id", record.id}};
  if (!record.task.empty()) row["task"] = record.task;
  if (record.is_ids) {
    row["prompt_ids"] = record.prompt_ids;
    row["response_ids"] = record.response_ids;
  } else {
    row["prompt"] = record.is_text ? OrderedJson(record.prompt_text) : messages_json(record.messages);
    row["responses"] = OrderedJson::array();
    for (const Response& response : record.responses) {
      const bool plain = response.size() == 1 && response[0].role == "assistant";
      row["responses"].push_back(plain ? OrderedJson(response[0].content) : messages_json(response));
    }
  }
  if (!record.ranks.empty()) row["ranks"] = record.ranks;
  if (record.margin != 0) row["margin"] = record.margin;
  if (!record.gold.empty()) row["gold"] = record.gold;
  return row.dump();
}

}  // namespace dmoerm::data
