// What one chat format is made of. A new format is one such value, in a file of its own, listed in
// chat_format.cpp.
#pragma once

#include "dmoerm/text/chat_format.h"

namespace dmoerm::text {

using Messages = std::vector<Message>;

struct ChatFormatSpec {
  std::string name, bos, eos, pad, turn_end, chat_template;
  std::vector<std::string> special_tokens;
  std::string (*render)(std::span<const Message> messages, bool add_generation_prompt);
  std::optional<Messages> (*parse)(std::string_view rendered);
};

const ChatFormatSpec& qwen2_format();
const ChatFormatSpec& chatml_format();
const ChatFormatSpec& llama3_format();
const ChatFormatSpec& mistral_format();
const ChatFormatSpec& plain_format();
const std::vector<const ChatFormatSpec*>& chat_formats();  // all of them

// Takes `prefix` off `text`; false when it does not stand there.
inline bool consume(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// Takes everything up to `mark`, and the mark, off `text`; nothing when the mark is not there.
inline std::optional<std::string> consume_until(std::string_view& text, std::string_view mark) {
  const size_t at = text.find(mark);
  if (at == std::string_view::npos) return std::nullopt;
  std::string part(text.substr(0, at));
  text.remove_prefix(at + mark.size());
  return part;
}

// How the formats with a header before and a mark behind every turn are read: `read_role` takes the header.
std::optional<Messages> parse_turns(std::string_view text, std::string_view end_mark,
                                    std::string_view after_end,
                                    std::optional<std::string> (*read_role)(std::string_view& text));

}  // namespace dmoerm::text
