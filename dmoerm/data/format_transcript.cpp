// Anthropic HH rows: "chosen" and "rejected" are transcripts "\n\nHuman: … \n\nAssistant: …" that share all
// but the last answer (or more).
#include "dmoerm/data/record_fields.h"
#include "dmoerm/data/record_format.h"

namespace dmoerm::data {
namespace {

constexpr std::string_view kHuman = "\n\nHuman:", kAssistant = "\n\nAssistant:";

std::string trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \n\t\r");
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(" \n\t\r") - begin + 1));
}

bool is_transcript(const Json& value) {
  return value.is_string() && value.get_ref<const std::string&>().starts_with(kHuman);
}

std::vector<Message> turns_of(std::string_view transcript) {
  std::vector<Message> turns;
  while (!transcript.empty()) {
    const bool human = transcript.starts_with(kHuman);
    transcript.remove_prefix(human ? kHuman.size() : kAssistant.size());
    const size_t end = std::min(transcript.find(kHuman), transcript.find(kAssistant));
    turns.push_back({human ? "user" : "assistant", trimmed(transcript.substr(0, end))});
    transcript.remove_prefix(std::min(end, transcript.size()));
  }
  return turns;
}

void read_transcript(const Json& row, const ReaderOptions&, PreferenceRecord& record) {
  record.task = name_field(row, "task");
  set_conversations(row, record, turns_of(row["chosen"].get_ref<const std::string&>()),
                    turns_of(row["rejected"].get_ref<const std::string&>()));
}

}  // namespace

RecordFormat transcript_pair_format() {
  return {"Anthropic HH", "chosen, rejected as \"Human: … Assistant: …\" transcripts",
          [](const Json& row) {
            return has_keys(row, {"chosen", "rejected"}) && is_transcript(row["chosen"]) &&
                   is_transcript(row["rejected"]);
          },
          read_transcript};
}

}  // namespace dmoerm::data
