#include "dmoerm/core/file.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "dmoerm/core/error.h"

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE (1 << 1)
#endif

namespace dmoerm {
namespace {

fs::path temporary_beside(const fs::path& path) {
  static std::atomic<int> counter{0};
  fs::path target = path;
  if (!target.has_filename()) target = target.parent_path();  // "dir/" names "dir"
  return target.parent_path() / fmt::format(".{}.{}.{}.tmp", target.filename().string(), getpid(), counter++);
}

// Where a chain of links leads, so that the link stays and what it names is replaced.
fs::path behind_links(fs::path path) {
  std::error_code error;
  constexpr int kMostLinks = 40;
  for (int i = 0; i < kMostLinks && fs::is_symlink(path, error); ++i) {
    const fs::path next = fs::read_symlink(path, error);
    path = next.is_absolute() ? next : path.parent_path() / next;
  }
  return path;
}

void create_parent(const fs::path& path) {
  if (!path.has_parent_path()) return;
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) fail("write", "cannot create {}: {}", path.parent_path().string(), error.message());
}

void sync_path(const fs::path& path) {
  const int descriptor = open(path.c_str(), O_RDONLY);
  if (descriptor < 0) return;
  fsync(descriptor);
  close(descriptor);
}

}  // namespace

std::string read_file(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) fail("read", "{} is a directory, expected a file", path.string());
  std::ifstream file(path, std::ios::binary);
  if (!file) fail("read", "cannot read {}: {}", path.string(), std::strerror(errno));
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_file_atomically(const fs::path& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

AtomicFile::AtomicFile(fs::path path) : path_(behind_links(std::move(path))) {
  create_parent(path_);
  struct stat info {};
  const bool exists = stat(path_.c_str(), &info) == 0;
  if (exists && !S_ISREG(info.st_mode)) {  // a device or a pipe is written to, not replaced
    descriptor_ = open(path_.c_str(), O_WRONLY | O_CLOEXEC);
  } else {
    temporary_ = temporary_beside(path_);
    descriptor_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  }
  if (descriptor_ < 0) fail("write", "cannot write {}: {}", path_.string(), std::strerror(errno));
  if (exists && !temporary_.empty()) fchmod(descriptor_, info.st_mode & 07777);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  close(descriptor_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void AtomicFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write", "cannot write {}: {}", path_.string(), std::strerror(errno));
    bytes.remove_prefix(written);
  }
}

void AtomicFile::commit() {
  if (temporary_.empty()) {
    const int status = close(std::exchange(descriptor_, -1));
    if (status != 0) fail("write", "cannot write {}: {}", path_.string(), std::strerror(errno));
    return;
  }
  if (fsync(descriptor_) != 0) fail("write", "cannot write {}: {}", path_.string(), std::strerror(errno));
  close(descriptor_);
  descriptor_ = -1;
  if (rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int code = errno;
    unlink(temporary_.c_str());
    fail("write", "cannot write {}: {}", path_.string(), std::strerror(code));
  }
  sync_path(path_.has_parent_path() ? path_.parent_path() : fs::path("."));
}

void remove_tree(const fs::path& path) noexcept {
  constexpr int kOpenFolders = 16;
  nftw(
      path.c_str(), [](const char* entry, const struct stat*, int, FTW*) { return ::remove(entry), 0; },
      kOpenFolders, FTW_DEPTH | FTW_PHYS);
}

AtomicDirectory::AtomicDirectory(fs::path path) : path_(std::move(path)) {
  if (!path_.has_filename()) path_ = path_.parent_path();
  temporary_ = temporary_beside(path_);
  create_parent(path_);
  remove_tree(temporary_);  // of a process that was killed: in a container many have the same number
  fs::create_directories(temporary_);
}

AtomicDirectory::~AtomicDirectory() {
  remove_tree(temporary_);
}

void AtomicDirectory::commit() {
  for (const auto& entry : fs::recursive_directory_iterator(temporary_)) sync_path(entry.path());
  sync_path(temporary_);
  if (rename(temporary_.c_str(), path_.c_str()) == 0) return sync_path(path_.parent_path());
  // The target exists and is not empty: swap the two at once; the destructor removes the old one.
  if (renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(), RENAME_EXCHANGE) == 0) return;
  if (errno == EINVAL || errno == ENOSYS) {  // a file system without exchange: two steps
    const fs::path old = temporary_.string() + ".old";
    if (rename(path_.c_str(), old.c_str()) == 0) {
      if (rename(temporary_.c_str(), path_.c_str()) == 0) return remove_tree(old);
      const int code = errno;
      rename(old.c_str(), path_.c_str());  // back
      errno = code;
    }
  }
  fail("write", "cannot put {} in place: {}", path_.string(), std::strerror(errno));
}

MappedFile::MappedFile(const fs::path& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail("read", "cannot read {}: {}", path.string(), std::strerror(errno));
  struct stat info {};
  if (fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(descriptor);
    fail("read", "{} is not a regular file", path.string());
  }
  size_ = info.st_size;
  if (size_ > 0) {
    void* memory = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
    close(descriptor);
    if (memory == MAP_FAILED) fail("read", "cannot map {}: {}", path.string(), std::strerror(errno));
    data_ = static_cast<const std::byte*>(memory);
  } else {
    close(descriptor);
  }
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release(size_t begin, size_t end) const {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t first = (begin + page - 1) / page * page, last = end / page * page;
  if (first < last) madvise(const_cast<std::byte*>(data_) + first, last - first, MADV_DONTNEED);
}

FileLock::FileLock(const fs::path& path, IfHeld if_held) {
  create_parent(path);
  descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0) fail("lock", "cannot open {}: {}", path.string(), std::strerror(errno));
  int result = 0;
  do {
    result = flock(descriptor_, if_held == IfHeld::Wait ? LOCK_EX : LOCK_EX | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return;
  const int code = errno;
  close(descriptor_);
  if (code == EWOULDBLOCK) throw LockHeld(fmt::format("[lock] {} is held by another process", path.string()));
  fail("lock", "cannot lock {}: {}", path.string(), std::strerror(code));
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace dmoerm
