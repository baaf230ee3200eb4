#include "dmoerm/data/record_fields.h"

#include <algorithm>
#include <limits>

namespace dmoerm::data {

bool has_keys(const Json& row, std::initializer_list<const char*> keys) {
  return std::ranges::all_of(keys, [&](const char* key) { return row.contains(key); });
}

std::string text_value(const Json& value, const std::string& name) {
  if (!value.is_string()) fail(kRecord, "{} is {}, expected a string", name, json_kind(value));
  return value.get<std::string>();
}

void refuse_tools(const Json& object, const std::string& key, const std::string& name) {
  const auto value = object.find(key);
  if (value == object.end() || value->is_null() || value->empty() || *value == "") return;
  fail(kRecord, "{} has \"{}\" ({}), expected none: models do not read calls of tools", name, key,
       json_kind(*value));
}

std::vector<Message> messages_value(const Json& value, const std::string& name) {
  if (!value.is_array()) fail(kRecord, "{} is {}, expected a list of messages", name, json_kind(value));
  std::vector<Message> messages;
  for (size_t i = 0; i < value.size(); ++i) {
    const std::string item = fmt::format("{}[{}]", name, i);
    const Json& message = value[i];
    if (message.is_object())  // looked at first: calls of tools often come without content
      for (const char* key : {"tool_calls", "tools"}) refuse_tools(message, key, item);
    if (!message.is_object() || !has_keys(message, {"role", "content"}))
      fail(kRecord, "{} is {}, expected a message with \"role\" and \"content\"", item,
           message.is_object() ? "an object without them" : json_kind(message));
    messages.push_back({text_value(message["role"], item + " \"role\""),
                        text_value(message["content"], item + " \"content\"")});
  }
  return messages;
}

namespace {

template <typename T>
std::vector<T> integers(const Json& value, const std::string& name, int64_t least) {
  if (!value.is_array()) fail(kRecord, "{} is {}, expected a list of whole numbers", name, json_kind(value));
  std::vector<T> numbers;
  for (const Json& item : value) {
    constexpr int64_t most = std::numeric_limits<int32_t>::max();
    if (!item.is_number_integer())
      fail(kRecord, "{} holds {}, expected whole numbers", name, json_kind(item));
    if ((item.is_number_unsigned() && item.get<uint64_t>() > static_cast<uint64_t>(most)) ||
        item.get<int64_t>() < least)
      fail(kRecord, "{} holds {}, expected {} to {}", name, item.dump(), least, most);
    numbers.push_back(item.get<T>());
  }
  return numbers;
}

}  // namespace

std::vector<int32_t> ids_value(const Json& value, const std::string& name) {
  return integers<int32_t>(value, name, 0);
}

std::vector<int64_t> ranks_value(const Json& value, const std::string& name) {
  return integers<int64_t>(value, name, std::numeric_limits<int32_t>::min());
}

const Json& list_value(const Json& row, const std::string& key) {
  const auto field = row.find(key);
  if (field == row.end()) fail(kRecord, "\"{}\" is missing", key);
  if (!field->is_array()) fail(kRecord, "\"{}\" is {}, expected a list", key, json_kind(*field));
  return *field;
}

void read_gold(const Json& row, PreferenceRecord& record) {
  if (!row.contains("gold")) return;
  const Json& value = row["gold"];
  if (!value.is_array()) fail(kRecord, "\"gold\" is {}, expected a list of numbers", json_kind(value));
  if (value.size() != record.num_answers())
    fail(kRecord, "\"gold\" has {} numbers, expected one for each of {} answers", value.size(),
         record.num_answers());
  for (const Json& item : value) {
    if (!item.is_number()) fail(kRecord, "\"gold\" holds {}, expected numbers", json_kind(item));
    record.gold.push_back(item.get<double>());
  }
}

std::string name_field(const Json& row, const std::string& key) {
  const auto field = row.find(key);
  if (field == row.end() || field->is_null()) return "";
  if (field->is_number_integer()) return field->dump();
  return text_value(*field, fmt::format("\"{}\"", key));
}

Response assistant_says(std::string text) {
  return {{"assistant", std::move(text)}};
}

namespace {

std::string system_text(const Json& row) {
  return json_field_or<std::string>(row, "system", "", kRecord);
}

void prepend_system(const Json& row, std::vector<Message>& messages) {
  const std::string system = system_text(row);
  if (system.empty()) return;
  if (!messages.empty() && messages[0].role == "system")
    fail(kRecord, "\"system\" is given and the messages begin with a system message too");
  messages.insert(messages.begin(), {"system", system});
}

}  // namespace

void set_user_turn(const Json& row, std::string text, PreferenceRecord& record) {
  record.messages = {{"user", std::move(text)}};
  prepend_system(row, record.messages);
}

void read_prompt(const Json& row, const ReaderOptions& options, PreferenceRecord& record) {
  const auto prompt = row.find("prompt");
  if (prompt == row.end()) fail(kRecord, "\"prompt\" is missing");
  if (prompt->is_array()) {
    record.messages = messages_value(*prompt, "\"prompt\"");
    return prepend_system(row, record.messages);
  }
  if (!prompt->is_string())
    fail(kRecord, "\"prompt\" is {}, expected text or a list of messages", json_kind(*prompt));
  if (options.text_as_turn) return set_user_turn(row, prompt->get<std::string>(), record);
  if (!system_text(row).empty())
    fail(kRecord, "\"system\" needs a prompt of messages, found raw text (or read text as a user turn)");
  record.is_text = true;
  record.prompt_text = prompt->get<std::string>();
}

void set_pair(const Json& row, PreferenceRecord& record, Response chosen, Response rejected) {
  record.responses = {std::move(chosen), std::move(rejected)};
  record.ranks = {1, 2};
  record.margin = json_field_or<double>(row, "margin", 0, kRecord);
}

void set_conversations(const Json& row, PreferenceRecord& record, std::vector<Message> chosen,
                       std::vector<Message> rejected) {
  const auto answers_at = [](const std::vector<Message>& turns, size_t i) {
    return i < turns.size() && turns[i].role == "assistant";
  };
  size_t shared = std::ranges::mismatch(chosen, rejected).in1 - chosen.begin();
  while (shared > 0 && !(answers_at(chosen, shared) && answers_at(rejected, shared))) --shared;
  if (!answers_at(chosen, shared) || !answers_at(rejected, shared))
    fail(kRecord, "\"chosen\" and \"rejected\" have no assistant turn after the turns that they share");
  record.messages.assign(chosen.begin(), chosen.begin() + shared);
  prepend_system(row, record.messages);
  chosen.erase(chosen.begin(), chosen.begin() + shared);
  rejected.erase(rejected.begin(), rejected.begin() + shared);
  set_pair(row, record, std::move(chosen), std::move(rejected));
}

}  // namespace dmoerm::data
