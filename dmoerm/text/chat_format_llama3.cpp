// Llama 3: header tokens around the role, contents without white space at their ends, BOS in front.
#include "dmoerm/text/chat_format_spec.h"
#include "dmoerm/text/python_text.h"

namespace dmoerm::text {
namespace {

constexpr std::string_view kBos = "<|begin_of_text|>";

std::string llama3_header(const std::string& role) {
  return "<|start_header_id|>" + role + "<|end_header_id|>\n\n";
}

std::string render_llama3(std::span<const Message> messages, bool add_generation_prompt) {
  std::string text(messages.empty() ? "" : kBos);
  for (const Message& message : messages)
    text += llama3_header(message.role) + std::string(strip(message.content)) + "<|eot_id|>";
  if (add_generation_prompt) text += llama3_header("assistant");
  return text;
}

std::optional<std::string> read_llama3_role(std::string_view& text) {
  if (!consume(text, "<|start_header_id|>")) return std::nullopt;
  return consume_until(text, "<|end_header_id|>\n\n");
}

std::optional<Messages> parse_llama3(std::string_view text) {
  consume(text, kBos);
  return parse_turns(text, "<|eot_id|>", "", read_llama3_role);
}

}  // namespace

const ChatFormatSpec& llama3_format() {
  static const ChatFormatSpec spec = {
      .name = "llama3",
      .bos = std::string(kBos),
      .eos = "<|eot_id|>",
      .pad = "<|finetune_right_pad_id|>",
      .turn_end = "<|eot_id|>",
      .chat_template =
          "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = "
          "'<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + "
          "'<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ "
          "content }}"
          "{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' "
          "}}"
          "{% endif %}",
      .special_tokens = {"<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
                         "<|eot_id|>", "<|finetune_right_pad_id|>"},
      .render = render_llama3,
      .parse = parse_llama3};
  return spec;
}

}  // namespace dmoerm::text
