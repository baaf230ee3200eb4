#include "dmoerm/data/reader.h"

#include "dmoerm/core/log.h"

namespace dmoerm::data {

PreferenceReader::PreferenceReader(std::vector<std::filesystem::path> files, ReaderOptions options)
    : files_(std::move(files)), options_(options) {}

bool PreferenceReader::next_line() {
  while (true) {
    if (lines_ == nullptr) {
      if (next_file_ == files_.size()) return false;
      file_ = next_file_++;
      lines_ = std::make_unique<LineReader>(files_[file_]);
    }
    try {
      if (lines_->next(line_)) return true;
    } catch (const Error&) {
      lines_.reset();  // a damaged file cannot be read on
      throw;
    }
    lines_.reset();
  }
}

bool PreferenceReader::next(PreferenceRecord& record) {
  constexpr int64_t kShown = 5;
  while (next_line()) {
    if (line_.find_first_not_of(" \t") == std::string::npos) continue;
    try {
      record = parse_record(line_, options_);
      record.line = lines_->line_number();
      return true;
    } catch (const Error& error) {
      std::string_view reason = error.what();
      if (reason.starts_with("[record] ")) reason.remove_prefix(9);
      const auto message = fmt::format("{}:{}: {}", files_[file_].string(), lines_->line_number(), reason);
      ++num_bad_;
      if (!options_.skip_bad) throw BadRecord(message);
      if (num_bad_ <= kShown) log().warn("skipped {}", message);
    }
  }
  if (options_.skip_bad && num_bad_ > kShown) log().warn("skipped {} bad lines in all", num_bad_);
  return false;
}

}  // namespace dmoerm::data
