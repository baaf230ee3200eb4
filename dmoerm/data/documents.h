// Texts for training a base or a tokenizer: plain files and JSONL, gzip or zstd.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "dmoerm/text/chat_format.h"

namespace dmoerm::data {

struct DocumentSource {
  std::filesystem::path file;
  // "line": every line is a text. "file": the whole file is one text, given out in pieces of about 8 KiB that
  // end with a line. "records": JSONL with {"text"}, {"messages"}, or {"prompt", "response"}.
  std::string unit = "line";
  int64_t max_characters = 0;  // Unicode characters after which no further text is given; 0: all
};

struct Document {
  std::string text;
  // What held-out data is split by: a hash of the turns before the first answer, or of the text.
  uint64_t key = 0;
  bool is_chat = false;  // rendered by the chat format; else raw text
};

// Calls `take` for each text. Prompt and response become a user and an assistant turn. Without a format
// (nullptr) messages are an Error that says how to name one.
void for_each_document(const DocumentSource& source, const text::ChatFormat* format,
                       const std::function<void(const Document&)>& take);

}  // namespace dmoerm::data
