#include "dmoerm/data/preference_record.h"

#include "dmoerm/core/hash.h"

namespace dmoerm::data {
namespace {

uint64_t messages_hash(uint64_t hash, const std::vector<Message>& messages) {
  for (const Message& message : messages)
    hash = hash_combine(hash_combine(hash, hash64(message.role)), hash64(message.content));
  return hash;
}

uint64_t ids_hash(const std::vector<int32_t>& ids) {
  return hash64({reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(int32_t)}, 1);
}

// Records without a prompt have nothing in common: each answers a prompt of its own.
uint64_t no_prompt_hash(const PreferenceRecord& record) {
  return hash_combine(3, answers_hash(record));
}

uint64_t text_hash(const std::string& prompt, const PreferenceRecord& record) {
  return prompt.empty() ? no_prompt_hash(record) : hash64(prompt);
}

}  // namespace

uint64_t prompt_hash(const PreferenceRecord& record) {
  if (record.is_ids) return record.prompt_ids.empty() ? no_prompt_hash(record) : ids_hash(record.prompt_ids);
  if (record.is_text) return text_hash(record.prompt_text, record);
  // The same question must fall into the same part of a split, written as text or as a single user turn.
  if (record.messages.size() == 1 && record.messages[0].role == "user")
    return text_hash(record.messages[0].content, record);
  return record.messages.empty() ? no_prompt_hash(record) : messages_hash(2, record.messages);
}

uint64_t answers_hash(const PreferenceRecord& record) {
  uint64_t hash = record.num_answers();
  for (const auto& ids : record.response_ids) hash = hash_combine(hash, ids_hash(ids));
  for (const Response& response : record.responses) hash = messages_hash(hash_combine(hash, 0), response);
  return hash;
}

std::string user_turns_text(const PreferenceRecord& record) {
  if (record.is_text) return record.prompt_text;
  std::string text;
  bool first = true;
  for (const Message& message : record.messages) {
    if (message.role != "user") continue;
    if (!first) text += '\n';
    text += message.content;
    first = false;
  }
  return text;
}

std::string response_text(const Response& response) {
  std::string text;
  bool first = true;
  for (const Message& message : response) {
    if (message.role != "assistant") continue;
    if (!first) text += '\n';
    text += message.content;
    first = false;
  }
  return text;
}

}  // namespace dmoerm::data
