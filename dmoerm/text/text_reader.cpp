#include "dmoerm/text/text_reader.h"

#include <set>

namespace dmoerm::text {
namespace {

constexpr size_t kPartBytes = 1 << 16;

bool is_text_key(const std::string& key) {
  static const std::set<std::string> keys = {"text",        "prompt",   "response", "responses",
                                             "chosen",      "rejected", "messages", "completion",
                                             "completions", "content",  "src",      "tgt"};
  return keys.count(key) > 0;
}

// The record's strings under text keys, the last first.
std::vector<std::string> texts_of(const Json& record) {
  std::vector<std::string> texts;
  std::vector<std::pair<const Json*, bool>> stack = {{&record, false}};  // value, stands under a text key
  while (!stack.empty()) {
    const auto [json, wanted] = stack.back();
    stack.pop_back();
    if (json->is_string() && wanted) texts.push_back(json->get<std::string>());
    if (json->is_array())
      for (const Json& item : *json) stack.emplace_back(&item, wanted);
    if (json->is_object())
      for (const auto& [key, value] : json->items()) stack.emplace_back(&value, is_text_key(key));
  }
  return texts;
}

}  // namespace

bool is_jsonl(const fs::path& path) {
  return path.filename().string().find(".jsonl") != std::string::npos;
}

TextReader::TextReader(std::vector<fs::path> files) : files_(std::move(files)) {
  if (files_.empty()) fail("text", "no input files");
}

bool TextReader::next_part(std::string& text) {
  text.clear();
  for (std::string line; text.size() < kPartBytes && lines_->next(line); text += '\n') text += line;
  return !text.empty();
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
      pending_ =
          texts_of(parse_json(line, fmt::format("{}:{}", files_[file_].string(), lines_->line_number())));
    }
    if (pending_.empty()) continue;
    text = std::move(pending_.back());
    pending_.pop_back();
    return true;
  }
  return false;
}

}  // namespace dmoerm::text
