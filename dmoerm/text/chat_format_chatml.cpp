// ChatML, and Qwen2's form of it: a default system turn, and the assistant's header right behind every user
// turn.
#include "dmoerm/core/error.h"
#include "dmoerm/text/chat_format_spec.h"

namespace dmoerm::text {
namespace {

constexpr std::string_view kDefaultSystem = "You are a helpful assistant.";
constexpr std::string_view kGenerationPrompt = "<|im_start|>assistant\n";

std::string turn(std::string_view role, std::string_view content) {
  return fmt::format("<|im_start|>{}\n{}<|im_end|>\n", role, content);
}

std::string render_chatml(std::span<const Message> messages, bool add_generation_prompt) {
  std::string text;
  for (const Message& message : messages) text += turn(message.role, message.content);
  if (add_generation_prompt) text += kGenerationPrompt;
  return text;
}

// The generation prompt stands behind a user turn whether it is asked for or not, as in the template.
std::string render_qwen2(std::span<const Message> messages, bool) {
  const bool has_system = !messages.empty() && messages[0].role == "system";
  std::string text = turn("system", has_system ? std::string_view(messages[0].content) : kDefaultSystem);
  for (const Message& message : messages.subspan(has_system ? 1 : 0)) {
    if (message.role == "user") {
      text += turn("user", message.content) + std::string(kGenerationPrompt);
    } else if (message.role == "assistant") {
      text += message.content + "<|im_end|>\n";
    } else {
      fail("chat format", "qwen2 has no place for a \"{}\" message here, expected user or assistant",
           message.role);
    }
  }
  return text;
}

std::optional<std::string> read_chatml_role(std::string_view& text) {
  if (!consume(text, "<|im_start|>")) return std::nullopt;
  return consume_until(text, "\n");
}

std::optional<Messages> parse_chatml(std::string_view text) {
  return parse_turns(text, "<|im_end|>", "\n", read_chatml_role);
}

std::optional<Messages> parse_qwen2(std::string_view text) {
  Messages messages;
  while (!text.empty()) {
    if (messages.empty() || text.starts_with("<|im_start|>")) {
      const auto role = read_chatml_role(text);
      if (!role) return std::nullopt;
      messages.push_back({*role, ""});
      if (*role == "assistant" && text.starts_with("<|im_start|>")) {  // two user turns in a row
        messages.pop_back();
        continue;
      }
    } else {
      messages.push_back({"assistant", ""});  // an answer that follows another has no header
    }
    if (auto content = consume_until(text, "<|im_end|>")) {
      messages.back().content = *content;
      if (!text.empty() && !consume(text, "\n")) return std::nullopt;
      continue;
    }
    messages.back().content = text;
    if (text.empty() && messages.back().role == "assistant") messages.pop_back();
    break;
  }
  if (!messages.empty() && messages[0] == Message{"system", std::string(kDefaultSystem)})
    messages.erase(messages.begin());
  return messages;
}

}  // namespace

const ChatFormatSpec& chatml_format() {
  static const ChatFormatSpec spec = {
      .name = "chatml",
      .bos = "",
      .eos = "<|im_end|>",
      .pad = "<|endoftext|>",
      .turn_end = "<|im_end|>\n",
      .chat_template =
          "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
          "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% "
          "endif %}",
      .special_tokens = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"},
      .render = render_chatml,
      .parse = parse_chatml};
  return spec;
}

const ChatFormatSpec& qwen2_format() {
  static const ChatFormatSpec spec = [] {
    ChatFormatSpec qwen2 = chatml_format();
    qwen2.name = "qwen2";
    qwen2.chat_template =
        "{% set system_message = 'You are a helpful assistant.' %}{% if messages[0]['role'] == 'system' %}"
        "{% set system_message = messages[0]['content'] %}{% endif %}{% if system_message is defined %}"
        "{{ '<|im_start|>system\n' + system_message + '<|im_end|>\n' }}{% endif %}{% for message in messages "
        "%}"
        "{% set content = message['content'] %}{% if message['role'] == 'user' %}"
        "{{ '<|im_start|>user\n' + content + '<|im_end|>\n<|im_start|>assistant\n' }}"
        "{% elif message['role'] == 'assistant' %}{{ content + '<|im_end|>' + '\n' }}{% endif %}{% endfor %}";
    qwen2.render = render_qwen2;
    qwen2.parse = parse_qwen2;
    return qwen2;
  }();
  return spec;
}

}  // namespace dmoerm::text
