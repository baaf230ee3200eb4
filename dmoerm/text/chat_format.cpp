#include "dmoerm/text/chat_format.h"

#include "dmoerm/core/error.h"
#include "dmoerm/text/chat_format_spec.h"
#include "dmoerm/text/chat_template.h"
#include "dmoerm/text/chat_template_probes.h"
#include "dmoerm/text/tokenizer.h"

namespace dmoerm::text {

const std::vector<const ChatFormatSpec*>& chat_formats() {
  static const std::vector<const ChatFormatSpec*> all = {&chatml_format(), &qwen2_format(), &llama3_format(),
                                                         &mistral_format(), &plain_format()};
  return all;
}

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
  for (const ChatFormatSpec* format : chat_formats())
    if (format->name == name) return ChatFormat(*format);
  fail("chat format", "\"{}\" is not known, expected {} or one of {}", name, kTemplate,
       fmt::join(names(), ", "));
}

std::vector<std::string> ChatFormat::names() {
  std::vector<std::string> result;
  for (const ChatFormatSpec* format : chat_formats()) result.push_back(format->name);
  return result;
}

ChatFormat ChatFormat::from_template(const std::string& source,
                                     const std::map<std::string, std::string>& special_tokens) {
  return ChatFormat(std::make_shared<const ChatTemplate>(source, special_tokens));
}

ChatFormat::ChatFormat(std::shared_ptr<const ChatTemplate> chat_template)
    : spec_(nullptr), template_(std::move(chat_template)) {
  const ChatTemplateProbes probes(*template_);
  spec_ = probes.reader();
  template_end_ = probes.turn_end();
  if (spec_) template_system_ = probes.added_system(*spec_);
}

void ChatFormat::check_name(const std::string& name) {
  if (name != kTemplate) named(name);
}

std::optional<ChatFormat> ChatFormat::find(const std::string& name, const Tokenizer* tokenizer) {
  if (name != kTemplate) return named(name);
  if (!tokenizer || tokenizer->chat_template().empty()) return std::nullopt;
  return from_template(tokenizer->chat_template(), tokenizer->special_tokens());
}

std::string ChatFormat::how_to_name() {
  return fmt::format(
      "name a format instead, as chat_format = \"chatml\" in a configuration or --chat-format chatml (one of "
      "{})",
      fmt::join(names(), ", "));
}

const std::string& ChatFormat::name() const {
  static const std::string own = kTemplate;
  return template_ ? own : spec_->name;
}

std::string ChatFormat::description() const {
  if (!template_) return spec_->name;
  return "the checkpoint's template, " + (spec_ ? "read back as " + spec_->name : "not read back");
}

std::string ChatFormat::render(std::span<const Message> messages, bool add_generation_prompt) const {
  return template_ ? template_->render(messages, add_generation_prompt)
                   : spec_->render(messages, add_generation_prompt);
}

std::optional<std::vector<Message>> ChatFormat::parse(std::string_view rendered) const {
  if (!spec_) return std::nullopt;
  auto messages = spec_->parse(rendered);
  if (messages && !messages->empty() && messages->front().role == "system" && template_ &&
      messages->front().content == template_system_)
    messages->erase(messages->begin());
  if (messages && messages->empty()) return std::nullopt;
  return messages;
}

std::string ChatFormat::turn_end() const {
  return template_ ? template_end_ : spec_->turn_end;
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
