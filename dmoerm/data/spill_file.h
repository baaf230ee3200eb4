// Temporary bytes on disk instead of in memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace dmoerm::data {

// A file that has no name: bytes go in, and are read back by their offset. It vanishes with the process.
class SpillFile {
 public:
  explicit SpillFile(const std::filesystem::path& beside);
  SpillFile(const SpillFile&) = delete;
  ~SpillFile();
  uint64_t append(std::string_view bytes);  // returns its offset
  std::string read(uint64_t offset, size_t size);

 private:
  void flush();

  int descriptor_ = -1;
  std::string buffer_, name_;
  uint64_t flushed_ = 0;
};

}  // namespace dmoerm::data
