#include "dmoerm/text/chat_template.h"

#include "dmoerm/core/error.h"

namespace dmoerm::text {
namespace {

[[noreturn]] void refuse(const jinja::TemplateError& error, bool broken) {
  if (!error.unsupported() && !broken) fail("chat template", "{}", error.what());
  fail("chat template", "{}{}; {}", error.what(), error.unsupported() ? " is not supported" : "",
       ChatFormat::how_to_name());
}

jinja::Template parsed(const std::string& source) {
  try {
    return jinja::Template(source);
  } catch (const jinja::TemplateError& error) {
    refuse(error, true);
  }
}

jinja::Value as_value(std::span<const Message> messages) {
  std::vector<jinja::Value> items;
  for (const Message& message : messages) {
    jinja::Dict dict;
    dict.set("role", message.role);
    dict.set("content", message.content);
    items.push_back(jinja::Value::dict(std::move(dict)));
  }
  return jinja::Value::list(std::move(items));
}

}  // namespace

ChatTemplate::ChatTemplate(const std::string& source, std::map<std::string, std::string> special_tokens)
    : source_(source), template_(parsed(source)), special_tokens_(std::move(special_tokens)) {}

std::string ChatTemplate::render(std::span<const Message> messages, bool add_generation_prompt) const {
  try {
    std::map<std::string, jinja::Value> variables = {{"messages", as_value(messages)},
                                                     {"tools", jinja::Value()},
                                                     {"documents", jinja::Value()},
                                                     {"add_generation_prompt", add_generation_prompt}};
    for (const auto& [name, token] : special_tokens_) variables[name] = token;
    return template_.render(std::move(variables));
  } catch (const jinja::TemplateError& error) {
    refuse(error, false);
  }
}

}  // namespace dmoerm::text
