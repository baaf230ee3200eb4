// Reads texts, one after another, from .txt and .jsonl files, plain, .gz or .zst.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "dmoerm/core/file.h"
#include "dmoerm/core/json.h"

namespace dmoerm::text {

// Whether the name holds ".jsonl".
bool is_jsonl(const fs::path& path);

// A file of JSONL has one record a line; its texts are the strings under the keys text, prompt, response(s),
// chosen, rejected, completion(s), content, src and tgt, messages included. Any other file is text: it comes
// in parts of about 64 kB that end at the end of a line.
class TextReader {
 public:
  explicit TextReader(std::vector<fs::path> files);  // Error when there is none

  // False at the end. Error, naming file and line, for a file that cannot be read and for a line that is no
  // JSON.
  bool next(std::string& text);

 private:
  bool next_part(std::string& text);

  std::vector<fs::path> files_;
  size_t file_ = 0;
  std::unique_ptr<LineReader> lines_;
  std::vector<std::string> pending_;  // texts of the record read last, the next one at the end
};

}  // namespace dmoerm::text
