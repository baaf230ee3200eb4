// One preference record as read from a file: a prompt, its answers and their ranks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dmoerm/text/chat_format.h"

namespace dmoerm::data {

using text::Message;
using Response = std::vector<Message>;  // mostly a single assistant message

struct PreferenceRecord {
  std::string id;    // given, or a hash of prompt and answers
  std::string task;  // "" when not said
  // Exactly one of the three forms of a prompt is used:
  std::vector<Message> messages;  // messages, rendered by the chat format
  std::string prompt_text;        // raw text that the answers continue (is_text)
  bool is_text = false;
  bool prompt_guessed = false;  // is_text: it is the common beginning of two texts; another pair's may differ
  std::vector<int32_t> prompt_ids;  // already tokenised (is_ids)
  bool is_ids = false;
  std::vector<Response> responses;  // for is_text: one message each, its content the continuation
  std::vector<std::vector<int32_t>> response_ids;  // for is_ids
  std::vector<int64_t> ranks;  // one each answer, 1 is best, equal is a tie; may be empty when scoring
  double margin = 0;           // wanted reward difference of a pair
  std::vector<double> gold;    // true reward of each answer where it is known; else empty
  size_t line = 0;

  size_t num_answers() const { return is_ids ? response_ids.size() : responses.size(); }
};

// Stable over files and machines: what splits and caches are keyed by. Without a prompt, prompt_hash() is one
// of the answers: such records are not taken for answers to one question.
uint64_t prompt_hash(const PreferenceRecord& record);
uint64_t answers_hash(const PreferenceRecord& record);

// Plain text of the prompt's last user turn(s) and of an answer, for judges and the router.
std::string user_turns_text(const PreferenceRecord& record);  // user turns joined by '\n'
std::string response_text(const Response& response);

}  // namespace dmoerm::data
