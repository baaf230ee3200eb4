#include "dmoerm/data/documents.h"

#include <algorithm>

#include "dmoerm/core/file.h"
#include "dmoerm/core/hash.h"
#include "dmoerm/core/json.h"
#include "dmoerm/data/preference_record.h"
#include "dmoerm/text/utf8.h"

namespace dmoerm::data {
namespace {

constexpr size_t kPiece = 8192;

// Up to the first answer: a first turn alone is often a system turn that all chats share.
uint64_t chat_key(const std::vector<Message>& messages) {
  const auto answer = std::ranges::find(messages, "assistant", &Message::role);
  PreferenceRecord record;
  record.messages.assign(messages.begin(), answer);
  record.responses = {Response(answer, messages.end())};
  return prompt_hash(record);
}

Document parse_document(const std::string& line, const std::string& where, const text::ChatFormat* format) {
  const Json json = parse_json(line, where);
  if (json.contains("text")) {
    const auto text = json_field<std::string>(json, "text", where);
    return {text, hash64(text), false};
  }
  std::vector<text::Message> messages;
  if (json.contains("messages")) {
    if (!json["messages"].is_array() || json["messages"].empty())
      fail(where, "\"messages\" must be a list of turns");
    for (const Json& turn : json["messages"])
      messages.push_back(
          {json_field<std::string>(turn, "role", where), json_field<std::string>(turn, "content", where)});
  } else if (json.contains("prompt") && json.contains("response")) {
    messages = {{"user", json_field<std::string>(json, "prompt", where)},
                {"assistant", json_field<std::string>(json, "response", where)}};
  } else {
    fail(where, "expected \"text\", \"messages\", or \"prompt\" and \"response\"");
  }
  if (!format) fail(where, "no chat template to render messages with; {}", text::ChatFormat::how_to_name());
  return {format->render(messages), chat_key(messages), true};
}

}  // namespace

void for_each_document(const DocumentSource& source, const text::ChatFormat* format,
                       const std::function<void(const Document&)>& take) {
  LineReader reader(source.file);
  std::string line, piece;
  int64_t characters = 0;
  const auto full = [&] { return source.max_characters > 0 && characters >= source.max_characters; };
  const auto give = [&](const Document& document) {
    characters += text::count_characters(document.text);
    take(document);
  };
  while (!full() && reader.next(line)) {
    if (source.unit == "file") {
      piece += line + "\n";
      if (piece.size() < kPiece) continue;
      give({piece, hash64(piece), false});
      piece.clear();
    } else if (source.unit == "records") {
      if (!line.empty())
        give(parse_document(line, fmt::format("{}:{}", source.file.string(), reader.line_number()), format));
    } else if (!line.empty()) {
      give({line, hash64(line), false});
    }
  }
  if (!piece.empty() && !full()) give({piece, hash64(piece), false});
}

}  // namespace dmoerm::data
