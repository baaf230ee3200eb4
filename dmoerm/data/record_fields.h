// Fields that several record formats share, read with messages that name what is wrong.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dmoerm/core/json.h"
#include "dmoerm/data/reader.h"

namespace dmoerm::data {

inline constexpr const char* kRecord = "record";  // the part named in errors

bool has_keys(const Json& row, std::initializer_list<const char*> keys);

// Error when the object, which messages call `name`, has something at `key`: leaving tools out would change
// what is judged.
void refuse_tools(const Json& object, const std::string& key, const std::string& name);

// Readers of one value; `name` is what messages call it.
std::string text_value(const Json& value, const std::string& name);
std::vector<Message> messages_value(const Json& value, const std::string& name);  // [{"role", "content"}…]
std::vector<int32_t> ids_value(const Json& value, const std::string& name);
std::vector<int64_t> ranks_value(const Json& value, const std::string& name);
const Json& list_value(const Json& row, const std::string& key);  // Error unless the field is a list

// "gold", where it is given: one number for each answer that the record has by now.
void read_gold(const Json& row, PreferenceRecord& record);

// A name that may be a string or a whole number; "" when absent or null.
std::string name_field(const Json& row, const std::string& key);

Response assistant_says(std::string text);

// "prompt" (text or messages), with "system" before it.
void read_prompt(const Json& row, const ReaderOptions& options, PreferenceRecord& record);
// Turns a text prompt into a user turn, after the system text when there is one.
void set_user_turn(const Json& row, std::string text, PreferenceRecord& record);

// Two answers, the first better, and the optional "margin".
void set_pair(const Json& row, PreferenceRecord& record, Response chosen, Response rejected);
// Two whole conversations: the prompt is what they share up to an assistant turn.
void set_conversations(const Json& row, PreferenceRecord& record, std::vector<Message> chosen,
                       std::vector<Message> rejected);

}  // namespace dmoerm::data
