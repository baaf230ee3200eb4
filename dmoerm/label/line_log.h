// A file to which whole lines are appended, each with one write. What a kill of the process leaves is whole
// lines and perhaps one unfinished line; a crash of the machine can also cost the last second's lines.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace dmoerm::label {

class LineLog {
 public:
  enum class Mode { Append, Read };

  // Append: opens or creates the file; a last line without its newline, left by a kill, is cut off. Read:
  // changes nothing; a file that is not there has no lines, an unfinished last line is no line.
  explicit LineLog(std::filesystem::path path, Mode mode = Mode::Append);
  LineLog(const LineLog&) = delete;
  ~LineLog();

  const std::filesystem::path& path() const { return path_; }
  // Every whole line, where it begins, and its number from 1.
  using Visit = std::function<void(const std::string& line, uint64_t begin, size_t number)>;
  void for_each_line(const Visit& visit) const;
  std::string read(uint64_t begin, size_t size) const;
  uint64_t append(std::string line);  // adds the newline; returns where the line begins

 private:
  void sync();

  std::filesystem::path path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;  // of the whole lines
  bool synced_ = true;
  std::chrono::steady_clock::time_point last_sync_ = std::chrono::steady_clock::now();
};

}  // namespace dmoerm::label
