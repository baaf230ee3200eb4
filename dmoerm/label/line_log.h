// A file to which whole lines are appended.
#pragma once

#include <filesystem>
#include <string>

namespace dmoerm::label {

class LineLog {
 public:
  // Opens or creates the file. A last line without its newline, left by a kill, is cut off.
  explicit LineLog(std::filesystem::path path);
  LineLog(const LineLog&) = delete;
  ~LineLog();
  const std::filesystem::path& path() const { return path_; }
  void append(std::string line);  // adds the newline

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace dmoerm::label
