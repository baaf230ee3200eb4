// Chat formats: messages <-> the text a model reads. A checkpoint's own template, or a named format.
#pragma once

#include <map>
#include <memory>
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
class ChatTemplate;     // chat_template.h
class Tokenizer;

class ChatFormat {
 public:
  // "chatml", "qwen2", "llama3", "mistral", "plain"; Error that lists the names for any other.
  // `plain` is for bases without a format of their own:
  // "User:\nHi<|endoftext|>\nAssistant:\nHello<|endoftext|>\n".
  static ChatFormat named(const std::string& name);
  static std::vector<std::string> names();
  // A checkpoint's own template (Jinja), which reads `special_tokens` by name. Error where it cannot be run.
  static ChatFormat from_template(const std::string& source,
                                  const std::map<std::string, std::string>& special_tokens);

  // What configurations and models name: "template", the tokenizer's own one, or a named format.
  static constexpr const char* kTemplate = "template";
  static void check_name(const std::string& name);
  // Nothing for "template" when the tokenizer has none, or is not there.
  static std::optional<ChatFormat> find(const std::string& name, const Tokenizer* tokenizer);
  // For messages: what to do where a template is missing or cannot be run.
  static std::string how_to_name();

  const std::string& name() const;  // "template", or the format's
  // For people: "plain"; "the checkpoint's template, read back as chatml".
  std::string description() const;
  // Error where the format cannot hold the messages (mistral: turns that do not alternate; unknown roles).
  std::string render(std::span<const Message> messages, bool add_generation_prompt = false) const;
  // Turns of a rendered text, where it has this format's form. The last turn may be open; an empty open
  // assistant turn (the generation prompt) is left out, and so is a system turn that the format adds itself.
  // A template's texts are read as the named format does that finds the turns of some probes again.
  std::optional<std::vector<Message>> parse(std::string_view rendered) const;
  // The tokens that close a turn as text ("<|im_end|>\n"), kept when an answer is cut at its right end.
  std::string turn_end() const;

  // Of named formats only: special tokens, for training a tokenizer that can read the format; its own roles
  // among them (bos "" where the format has none; pad is never eos).
  std::vector<std::string> special_tokens() const;
  const std::string& bos_token() const;
  const std::string& eos_token() const;
  const std::string& pad_token() const;
  // As a Jinja template, for tokenizer_config.json.
  const std::string& chat_template() const;

 private:
  explicit ChatFormat(const ChatFormatSpec& spec) : spec_(&spec) {}
  explicit ChatFormat(std::shared_ptr<const ChatTemplate> chat_template);

  const ChatFormatSpec* spec_;  // static; of a template: the one that reads its texts, or nullptr
  std::shared_ptr<const ChatTemplate> template_;
  std::string template_end_;     // what closes an answer of the template
  std::string template_system_;  // the system turn that the template adds itself
};

}  // namespace dmoerm::text
