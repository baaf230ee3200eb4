// Named chat formats: messages <-> the text a model reads.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dmoerm::text {

struct Message {
  std::string role, content;
  bool operator==(const Message&) const = default;
};

struct ChatFormatSpec;  // chat_format_spec.h

class ChatFormat {
 public:
  // "qwen2", "chatml", "llama3", "mistral", "plain"; Error that lists the names for any other.
  // `plain` is for bases without a format of their own:
  // "User:\nHi<|endoftext|>\nAssistant:\nHello<|endoftext|>\n".
  static ChatFormat named(const std::string& name);
  static std::vector<std::string> names();
  // The named format that a checkpoint's tokenizer_config.json most likely uses (from its template), if any.
  static std::optional<ChatFormat> detect(std::string_view chat_template);

  const std::string& name() const;
  // Error where the format cannot hold the messages (mistral: turns that do not alternate; unknown roles).
  std::string render(std::span<const Message> messages, bool add_generation_prompt = false) const;
  // Turns of a rendered text, where it has this format's form. The last turn may be open; an empty open
  // assistant turn (the generation prompt) is left out, and so is a system turn that the format adds itself.
  std::optional<std::vector<Message>> parse(std::string_view rendered) const;
  // The tokens that close a turn as text ("<|im_end|>\n"), kept when an answer is cut at its right end.
  std::string turn_end() const;

  // Special tokens of the format, for training a tokenizer that can read it; its own roles among them
  // (bos "" where the format has none; pad is never eos).
  std::vector<std::string> special_tokens() const;
  const std::string& bos_token() const;
  const std::string& eos_token() const;
  const std::string& pad_token() const;
  // The same format as a Jinja template, for tokenizer_config.json.
  const std::string& chat_template() const;

 private:
  explicit ChatFormat(const ChatFormatSpec& spec) : spec_(&spec) {}
  const ChatFormatSpec* spec_;  // static
};

}  // namespace dmoerm::text
