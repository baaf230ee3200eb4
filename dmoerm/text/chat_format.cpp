#include "dmoerm/text/chat_format.h"

#include "dmoerm/core/error.h"
#include "dmoerm/text/chat_format_spec.h"
#include "dmoerm/text/json_parts.h"

namespace dmoerm::text {
namespace {

const std::vector<const ChatFormatSpec*>& formats() {
  static const std::vector<const ChatFormatSpec*> all = {&qwen2_format(), &chatml_format(), &llama3_format(),
                                                         &mistral_format(), &plain_format()};
  return all;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

std::optional<Messages> parse_turns(std::string_view text, std::string_view end_mark,
                                    std::string_view after_end,
                                    std::optional<std::string> (*read_role)(std::string_view& text)) {
  Messages messages;
  while (!text.empty()) {
    const auto role = read_role(text);
    if (!role) return std::nullopt;
    const auto content = consume_until(text, end_mark);
    if (!content) {  // an open last turn
      if (!text.empty() || *role != "assistant") messages.push_back({*role, std::string(text)});
      return messages;
    }
    if (!text.empty() && !consume(text, after_end)) return std::nullopt;
    messages.push_back({*role, *content});
  }
  return messages;
}

ChatFormat ChatFormat::named(const std::string& name) {
  for (const ChatFormatSpec* format : formats())
    if (format->name == name) return ChatFormat(*format);
  fail("chat format", "\"{}\" is not known, expected one of {}", name, fmt::join(names(), ", "));
}

std::vector<std::string> ChatFormat::names() {
  std::vector<std::string> result;
  for (const ChatFormatSpec* format : formats()) result.push_back(format->name);
  return result;
}

std::optional<ChatFormat> ChatFormat::detect(std::string_view given_template) {
  const std::string chat_template =
      replace_all(given_template, "\\n", "\n");  // Jinja reads both as a line end
  for (const ChatFormatSpec* format : formats())
    if (format->chat_template == chat_template) return ChatFormat(*format);
  // Templates of the same families that say the same in other words. Those that add a system turn which no
  // named format writes (dates, other default prompts, Llama 2's <<SYS>>) are none of them.
  if (contains(chat_template, "<|im_start|>")) {
    if (contains(chat_template, "system\nYou are a helpful assistant.<|im_end|>")) return named("qwen2");
    if (!contains(chat_template, "You are")) return named("chatml");
    return std::nullopt;
  }
  if (contains(chat_template, "<|start_header_id|>") && !contains(chat_template, "Cutting Knowledge Date"))
    return named("llama3");
  if (contains(chat_template, "'[INST] '") && !contains(chat_template, "<<SYS>>")) return named("mistral");
  return std::nullopt;
}

const std::string& ChatFormat::name() const {
  return spec_->name;
}

std::string ChatFormat::render(std::span<const Message> messages, bool add_generation_prompt) const {
  return spec_->render(messages, add_generation_prompt);
}

std::optional<std::vector<Message>> ChatFormat::parse(std::string_view rendered) const {
  auto messages = spec_->parse(rendered);
  if (messages && messages->empty()) return std::nullopt;
  return messages;
}

std::string ChatFormat::turn_end() const {
  return spec_->turn_end;
}
std::vector<std::string> ChatFormat::special_tokens() const {
  return spec_->special_tokens;
}
const std::string& ChatFormat::bos_token() const {
  return spec_->bos;
}
const std::string& ChatFormat::eos_token() const {
  return spec_->eos;
}
const std::string& ChatFormat::pad_token() const {
  return spec_->pad;
}
const std::string& ChatFormat::chat_template() const {
  return spec_->chat_template;
}

}  // namespace dmoerm::text
