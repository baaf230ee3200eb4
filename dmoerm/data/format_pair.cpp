// TRL pairs {"prompt"?, "chosen", "rejected", "margin"?, "system"?}: text or messages, the prompt apart
// (explicit) or as the shared beginning of both (implicit).
#include <algorithm>

#include "dmoerm/data/record_fields.h"
#include "dmoerm/data/record_format.h"

namespace dmoerm::data {
namespace {

// Both texts whole: the prompt is their common beginning, cut at the end of a word; each answer keeps
// something.
void split_texts(const std::string& chosen, const std::string& rejected, const Json& row,
                 PreferenceRecord& record) {
  size_t shared = std::ranges::mismatch(chosen, rejected).in1 - chosen.begin();
  shared = std::min({shared, chosen.size() - !chosen.empty(), rejected.size() - !rejected.empty()});
  const auto is_space = [](char c) { return c == ' ' || c == '\n' || c == '\t'; };
  while (shared > 0 && !is_space(chosen[shared])) --shared;  // the answer begins with the space
  record.is_text = record.prompt_guessed = true;
  record.prompt_text = chosen.substr(0, shared);
  set_pair(row, record, assistant_says(chosen.substr(shared)), assistant_says(rejected.substr(shared)));
}

void read_implicit(const Json& row, PreferenceRecord& record) {
  if (row["chosen"].is_string())
    return split_texts(row["chosen"], text_value(row["rejected"], "\"rejected\""), row, record);
  set_conversations(row, record, messages_value(row["chosen"], "\"chosen\""),
                    messages_value(row["rejected"], "\"rejected\""));
}

bool is_whole_conversation(const Json& answer) {
  return answer.is_array() && !answer.empty() && answer[0].is_object() &&
         answer[0].value("role", Json()) != "assistant";
}

// Some published sets repeat the prompt beside conversations that hold it already.
bool repeats_prompt(const Json& row) {
  const Json &prompt = row["prompt"], &chosen = row["chosen"], &rejected = row["rejected"];
  if (!prompt.is_array() || prompt.empty()) return is_whole_conversation(chosen);
  if (!chosen.is_array() || !rejected.is_array()) return false;
  const std::vector<Message> turns = messages_value(prompt, "\"prompt\"");
  const auto begins_with_turns = [&](const std::vector<Message>& answer) {
    return std::ranges::mismatch(turns, answer).in1 == turns.end();
  };
  return begins_with_turns(messages_value(chosen, "\"chosen\"")) &&
         begins_with_turns(messages_value(rejected, "\"rejected\""));
}

Response answer(const Json& value, const std::string& name) {
  if (value.is_string()) return assistant_says(value.get<std::string>());
  if (!value.is_array())
    fail(kRecord, "{} is {}, expected text or a list of messages", name, json_kind(value));
  return messages_value(value, name);
}

void read_trl_pair(const Json& row, const ReaderOptions& options, PreferenceRecord& record) {
  record.task = name_field(row, "task");
  const Json &chosen = row["chosen"], &rejected = row["rejected"];
  if (!row.contains("prompt") || repeats_prompt(row)) return read_implicit(row, record);
  ReaderOptions prompt_options = options;
  if (chosen.is_array()) prompt_options.text_as_turn = true;  // messages answer a turn, not raw text
  read_prompt(row, prompt_options, record);
  if (record.is_text)
    return set_pair(row, record, assistant_says(text_value(chosen, "\"chosen\"")),
                    assistant_says(text_value(rejected, "\"rejected\"")));
  set_pair(row, record, answer(chosen, "\"chosen\""), answer(rejected, "\"rejected\""));
}

}  // namespace

RecordFormat pair_format() {
  return {"pairs", "prompt?, chosen, rejected",
          [](const Json& row) {
            return has_keys(row, {"chosen", "rejected"});
          },
          read_trl_pair};
}

}  // namespace dmoerm::data
