// Preference records read from JSONL files (plain, gzip or zstd), each line's format found from its keys.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dmoerm/core/error.h"
#include "dmoerm/core/file.h"
#include "dmoerm/data/preference_record.h"

namespace dmoerm::data {

struct ReaderOptions {
  bool text_as_turn = false;  // a text prompt is a user turn, not raw text that the answers continue
  bool require_ranks = true;  // false: for scoring; answers may then be empty too
  bool skip_bad = false;      // count bad lines and go on
};

// A line that is no record: what() is "FILE:LINE: reason". The reader can go on after it.
class BadRecord : public Error {
 public:
  using Error::Error;
};

// One record from one line of JSON. Error "[record] reason" when it is none.
PreferenceRecord parse_record(std::string_view line, const ReaderOptions& options = {});

// Streams the records of several files, one after another, in flat memory. Empty lines are skipped.
class PreferenceReader {
 public:
  PreferenceReader(std::vector<std::filesystem::path> files, ReaderOptions options = {});

  // False at the end of the last file. Throws BadRecord for a bad line unless skip_bad, and Error for a file
  // that cannot be read or is damaged. After either, the next call goes on: with the next line, or the next
  // file.
  bool next(PreferenceRecord& record);

  const std::string& line() const { return line_; }  // the text of the record read last, without its newline
  size_t file_index() const { return file_; }        // of the record read last
  int64_t num_bad() const { return num_bad_; }       // lines skipped (with skip_bad) or thrown so far

 private:
  bool next_line();

  std::vector<std::filesystem::path> files_;
  ReaderOptions options_;
  std::unique_ptr<LineReader> lines_;
  std::string line_;
  size_t file_ = 0, next_file_ = 0;
  int64_t num_bad_ = 0;
};

}  // namespace dmoerm::data
