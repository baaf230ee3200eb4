// Mistral's instruction format: "<s>[INST] question [/INST]answer</s>", turns that alternate, no system turn.
#include "dmoerm/core/error.h"
#include "dmoerm/text/chat_format_spec.h"

namespace dmoerm::text {
namespace {

std::string render_mistral(std::span<const Message> messages, bool) {
  std::string text = "<s>";
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string expected = i % 2 == 0 ? "user" : "assistant";
    if (messages[i].role != expected)
      fail("chat format",
           "mistral: message {} is of role \"{}\", expected \"{}\": turns must alternate user, assistant",
           i + 1, messages[i].role, expected);
    text += i % 2 == 0 ? "[INST] " + messages[i].content + " [/INST]" : messages[i].content + "</s>";
  }
  return text;
}

std::optional<Messages> parse_mistral(std::string_view text) {
  Messages messages;
  consume(text, "<s>");
  while (!text.empty()) {
    if (!consume(text, "[INST] ")) return std::nullopt;
    const auto question = consume_until(text, " [/INST]");
    if (!question) return std::nullopt;
    messages.push_back({"user", *question});
    if (text.empty()) break;
    if (auto answer = consume_until(text, "</s>")) {
      messages.push_back({"assistant", *answer});
    } else {
      messages.push_back({"assistant", std::string(text)});
      break;
    }
  }
  return messages;
}

}  // namespace

const ChatFormatSpec& mistral_format() {
  static const ChatFormatSpec spec = {
      .name = "mistral",
      .bos = "<s>",
      .eos = "</s>",
      .pad = "<pad>",
      .turn_end = "</s>",
      .chat_template =
          "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 "
          "== 0) %}"
          "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% "
          "endif %}"
          "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
          "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}{% else %}"
          "{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}",
      .special_tokens = {"<s>", "</s>", "<pad>"},
      .render = render_mistral,
      .parse = parse_mistral};
  return spec;
}

}  // namespace dmoerm::text
