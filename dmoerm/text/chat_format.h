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

class ChatFormat {
 public:
  // "qwen2", "chatml", "llama3", "mistral", "plain"; Error that lists the names for any other.
  static ChatFormat named(const std::string& name);
  static std::vector<std::string> names();
  // The named format that a checkpoint's tokenizer_config.json most likely uses (from its template), if any.
  static std::optional<ChatFormat> detect(std::string_view chat_template);

  const std::string& name() const { return name_; }
  std::string render(std::span<const Message> messages, bool add_generation_prompt = false) const;
  // Turns of a rendered text, where it has this format's form.
  std::optional<std::vector<Message>> parse(std::string_view rendered) const;
  // The tokens that close a turn as text ("<|im_end|>\n"), kept when an answer is cut at its right end.
  std::string turn_end() const;
  // Special tokens of the format, for training a tokenizer that can read it.
  std::vector<std::string> special_tokens() const;

 private:
  explicit ChatFormat(std::string name) : name_(std::move(name)) {}
  std::string name_;
};

}  // namespace dmoerm::text
