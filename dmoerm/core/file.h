// Files: whole reads, lines of plain or compressed text, memory maps, atomic writing, locks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "dmoerm/core/error.h"

namespace dmoerm {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path);  // Error if it cannot be read

// Writes beside the target and renames, with fsync: a reader sees the old file or the new one, whole.
void write_file_atomically(const fs::path& path, std::string_view bytes);

// As above for content that is produced piece by piece. Nothing appears at `path` before commit().
class AtomicFile {
 public:
  explicit AtomicFile(fs::path path);
  AtomicFile(const AtomicFile&) = delete;
  ~AtomicFile();
  void write(std::string_view bytes);
  void commit();

 private:
  fs::path path_, temporary_;
  int descriptor_ = -1;
};

// Removes a file, or a folder with all that is in it; nothing happens when there is none, and what cannot be
// removed stays. In place of std::filesystem::remove_all: the LibTorch of pip (2.11) exports a function of
// that name, built for another libstdc++, that crashes.
void remove_tree(const fs::path& path) noexcept;

// Builds a directory beside the target; commit() puts it in place at once, replacing an older one.
class AtomicDirectory {
 public:
  explicit AtomicDirectory(fs::path path);
  AtomicDirectory(const AtomicDirectory&) = delete;
  ~AtomicDirectory();
  const fs::path& path() const { return temporary_; }  // write here
  void commit();                                       // fsyncs every file, then renames

 private:
  fs::path path_, temporary_;
};

// Read-only memory map of a whole file.
class MappedFile {
 public:
  explicit MappedFile(const fs::path& path);
  MappedFile(const MappedFile&) = delete;
  ~MappedFile();
  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  // Takes the pages that lie within these bytes out of the process's memory, until they are used again.
  void release(size_t begin, size_t end) const;

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// Reads lines that end with '\n' only (never on U+2028 and the like) from plain, .gz or .zst files;
// the compression is found from the first bytes. "-" is standard input (plain). Error, with the file's
// name, on unreadable or damaged input, and where more than `max_bytes` come out of it.
class LineReader {
 public:
  explicit LineReader(const fs::path& path, uint64_t max_bytes = UINT64_MAX);
  ~LineReader();
  bool next(std::string& line);  // false at the end; the newline (and one '\r' before it) is removed
  size_t line_number() const { return line_; }  // of the line read last, from 1

 private:
  struct Source;
  bool fill();

  std::unique_ptr<Source> source_;
  std::string buffer_;
  size_t begin_ = 0, line_ = 0;
};

// What is locked is held by another process.
class LockHeld : public Error {
 public:
  using Error::Error;
};

// Holds `path` (created when missing) exclusively until destroyed. When another process holds it: LockHeld,
// or waits for it. Error where it cannot be locked.
class FileLock {
 public:
  enum class IfHeld { Fail, Wait };
  explicit FileLock(const fs::path& path, IfHeld if_held = IfHeld::Fail);
  FileLock(const FileLock&) = delete;
  ~FileLock();

 private:
  int descriptor_ = -1;
};

}  // namespace dmoerm
