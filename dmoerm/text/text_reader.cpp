#include "dmoerm/text/text_reader.h"

#include <algorithm>
#include <set>

namespace dmoerm::text {
namespace {

constexpr size_t kPartBytes = 1 << 16;

bool is_jsonl(const fs::path& path) { return path.filename().string().find(".jsonl") != std::string::npos; }

bool is_text_key(const std::string& key) {
  static const std::set<std::string> keys = {"text",     "prompt",     "response",    "responses", "chosen", "rejected",
                                             "messages", "completion", "completions", "content",   "src",    "tgt"};
  return keys.count(key) > 0;
}

}  // namespace

TextReader::TextReader(std::vector<fs::path> files) : files_(std::move(files)) {
  if (files_.empty()) fail("text", "no input files");
}

bool TextReader::next_part(std::string& text) {
  text.clear();
  for (std::string line; text.size() < kPartBytes && lines_->next(line); text += '\n') text += line;
  return !text.empty();
}

void TextReader::collect(const Json& json, bool wanted) {
  if (json.is_string() && wanted) pending_.push_back(json.get<std::string>());
  if (json.is_array())
    for (const Json& item : json) collect(item, wanted);
  if (json.is_object())
    for (const auto& [key, value] : json.items()) collect(value, is_text_key(key));
}

bool TextReader::next(std::string& text) {
  for (; file_ < files_.size(); ++file_, lines_.reset()) {
    if (lines_ == nullptr) lines_ = std::make_unique<LineReader>(files_[file_]);
    if (!is_jsonl(files_[file_])) {
      if (next_part(text)) return true;
      continue;
    }
    for (std::string line; pending_.empty() && lines_->next(line);) {
      if (line.empty()) continue;
      collect(parse_json(line, fmt::format("{}:{}", files_[file_].string(), lines_->line_number())), false);
      std::reverse(pending_.begin(), pending_.end());
    }
    if (pending_.empty()) continue;
    text = std::move(pending_.back());
    pending_.pop_back();
    return true;
  }
  return false;
}

}  // namespace dmoerm::text
