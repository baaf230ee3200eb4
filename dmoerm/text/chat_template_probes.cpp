#include "dmoerm/text/chat_template_probes.h"

#include <algorithm>

#include "dmoerm/core/error.h"

namespace dmoerm::text {
namespace {

constexpr std::string_view kAnswer = "An answer to it.";

template <typename Renderer>
std::optional<std::string> rendered(const Renderer& renderer, const Messages& messages, bool open) {
  try {
    return renderer.render(messages, open);
  } catch (const Error&) {
    return std::nullopt;
  }
}

void drop_system(Messages& messages) {
  if (!messages.empty() && messages.front().role == "system") messages.erase(messages.begin());
}

}  // namespace

ChatTemplateProbes::ChatTemplateProbes(const ChatTemplate& chat_template) {
  const Message system = {"system", "Be brief."}, question = {"user", "First probe?"};
  const Message answer = {"assistant", std::string(kAnswer)},
                second = {"user", "And a second,\nof two lines"};
  const std::vector<Messages> conversations = {
      {question},
      {question, answer},
      {question, answer, second, {"assistant", "The last."}},
      {system, question},
      {system, question, answer, second},
  };
  for (const Messages& messages : conversations) {
    const bool open = messages.back().role == "user";
    probes_.push_back({messages, open, rendered(chat_template, messages, open)});
  }
}

bool ChatTemplateProbes::renders_equally(const ChatFormatSpec& format, const Probe& probe) {
  return probe.text == rendered(format, probe.messages, probe.open);
}

// The turns of users as they were, those of the assistant with what the template puts in front of them.
bool ChatTemplateProbes::finds_turns(const ChatFormatSpec& format, const Probe& probe) {
  if (!probe.text) return true;
  auto found = format.parse(*probe.text);
  if (!found) return false;
  Messages given = probe.messages;
  drop_system(given);
  drop_system(*found);
  const auto same = [](const Message& a, const Message& b) {
    return a.role == b.role &&
           (a.role == "assistant" ? a.content.ends_with(b.content) : a.content == b.content);
  };
  return std::equal(found->begin(), found->end(), given.begin(), given.end(), same);
}

const ChatFormatSpec* ChatTemplateProbes::reader() const {
  if (!probes_[0].text) return nullptr;
  for (const auto matches : {renders_equally, finds_turns})
    for (const ChatFormatSpec* format : chat_formats())
      if (std::all_of(probes_.begin(), probes_.end(),
                      [&](const Probe& probe) { return matches(*format, probe); }))
        return format;
  return nullptr;
}

std::string ChatTemplateProbes::turn_end() const {
  const auto& text = probes_[1].text;
  const size_t answer = text ? text->rfind(kAnswer) : std::string::npos;
  return answer == std::string::npos ? "" : text->substr(answer + kAnswer.size());
}

std::string ChatTemplateProbes::added_system(const ChatFormatSpec& format) const {
  const auto messages = probes_[0].text ? format.parse(*probes_[0].text) : std::nullopt;
  return messages && messages->size() == 2 && messages->front().role == "system" ? messages->front().content
                                                                                 : "";
}

}  // namespace dmoerm::text
