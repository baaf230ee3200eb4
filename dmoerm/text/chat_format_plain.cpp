// plain: the role in words, its content, and the end-of-text token, for bases without a format of their own:
//   "User:\nHi<|endoftext|>\nAssistant:\nHello<|endoftext|>\n"
// A tokenizer that lacks <|endoftext|> spells it out; nothing else is special.
#include <algorithm>
#include <cctype>

#include "dmoerm/core/error.h"
#include "dmoerm/text/chat_format_spec.h"

namespace dmoerm::text {
namespace {

constexpr std::string_view kEnd = "<|endoftext|>";

bool is_role(std::string_view role) {
  return !role.empty() && std::all_of(role.begin(), role.end(), [](unsigned char c) {
    return std::islower(c) || std::isdigit(c) || c == '_' || c == '-';
  });
}

std::string plain_header(std::string role) {
  role[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(role[0])));
  return role + ":\n";
}

std::string render_plain(std::span<const Message> messages, bool add_generation_prompt) {
  std::string text;
  for (const Message& message : messages) {
    if (!is_role(message.role))
      fail("chat format", "plain: \"{}\" is no role, expected small letters, digits, - and _", message.role);
    text += plain_header(message.role) + message.content + std::string(kEnd) + "\n";
  }
  if (add_generation_prompt) text += plain_header("assistant");
  return text;
}

std::optional<std::string> read_plain_role(std::string_view& text) {
  auto role = consume_until(text, ":\n");
  if (!role || role->empty()) return std::nullopt;
  (*role)[0] = static_cast<char>(std::tolower(static_cast<unsigned char>((*role)[0])));
  if (!is_role(*role)) return std::nullopt;
  return role;
}

std::optional<Messages> parse_plain(std::string_view text) {
  return parse_turns(text, kEnd, "\n", read_plain_role);
}

}  // namespace

const ChatFormatSpec& plain_format() {
  static const ChatFormatSpec spec = {
      .name = "plain",
      .bos = "",
      .eos = std::string(kEnd),
      .pad = "<|pad|>",
      .turn_end = std::string(kEnd) + "\n",
      .chat_template =
          "{% for message in messages %}{{ message['role'] | capitalize + ':\n' + message['content'] + "
          "'<|endoftext|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:\n' }}{% endif %}",
      .special_tokens = {std::string(kEnd), "<|pad|>"},
      .render = render_plain,
      .parse = parse_plain};
  return spec;
}

}  // namespace dmoerm::text
