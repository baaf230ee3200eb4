// A checkpoint's own chat template, rendered as transformers' apply_chat_template does.
#pragma once

#include <map>
#include <span>
#include <string>

#include "dmoerm/text/chat_format.h"
#include "dmoerm/text/jinja_template.h"

namespace dmoerm::text {

class ChatTemplate {
 public:
  // The template reads `special_tokens` by name ("bos_token"); tools and documents are none. Error, with the
  // line, for a template that cannot be run, saying how to name a format instead.
  ChatTemplate(const std::string& source, std::map<std::string, std::string> special_tokens);

  // Error, with the line and the template's own message, for messages that it refuses.
  std::string render(std::span<const Message> messages, bool add_generation_prompt) const;
  const std::string& source() const { return source_; }

 private:
  std::string source_;
  jinja::Template template_;
  std::map<std::string, std::string> special_tokens_;
};

}  // namespace dmoerm::text
