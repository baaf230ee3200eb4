// What a chat template makes of some conversations: which named format can read its texts, and how a turn
// ends.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dmoerm/text/chat_format_spec.h"
#include "dmoerm/text/chat_template.h"

namespace dmoerm::text {

class ChatTemplateProbes {
 public:
  explicit ChatTemplateProbes(const ChatTemplate& chat_template);

  // The format that renders the probes equally, else the first whose parser finds their turns; else nullptr.
  const ChatFormatSpec* reader() const;
  // What stands behind an answer at the end.
  std::string turn_end() const;
  // The system turn, as `format` reads it, of messages that have none; "" when the template adds none.
  std::string added_system(const ChatFormatSpec& format) const;

 private:
  struct Probe {
    Messages messages;
    bool open;                        // with the generation prompt
    std::optional<std::string> text;  // nothing where the template refuses these messages
  };
  static bool renders_equally(const ChatFormatSpec& format, const Probe& probe);
  static bool finds_turns(const ChatFormatSpec& format, const Probe& probe);

  std::vector<Probe> probes_;
};

}  // namespace dmoerm::text
