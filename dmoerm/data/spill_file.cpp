#include "dmoerm/data/spill_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "dmoerm/core/error.h"

namespace dmoerm::data {
namespace {

constexpr size_t kSpillBuffer = 1 << 20;

}  // namespace

SpillFile::SpillFile(const std::filesystem::path& beside)
    : name_(beside.string() + ".spill." + std::to_string(getpid())) {
  if (beside.has_parent_path()) std::filesystem::create_directories(beside.parent_path());
  descriptor_ = open(name_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (descriptor_ < 0) fail("cache", "cannot write {}: {}", name_, std::strerror(errno));
  unlink(name_.c_str());
}

SpillFile::~SpillFile() {
  close(descriptor_);
}

uint64_t SpillFile::append(std::string_view bytes) {
  const uint64_t offset = flushed_ + buffer_.size();
  buffer_ += bytes;
  if (buffer_.size() >= kSpillBuffer) flush();
  return offset;
}

void SpillFile::flush() {
  for (size_t done = 0; done < buffer_.size();) {
    const ssize_t count = ::write(descriptor_, buffer_.data() + done, buffer_.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("cache", "cannot write {}: {}", name_, std::strerror(errno));
    done += count;
  }
  flushed_ += buffer_.size();
  buffer_.clear();
}

std::string SpillFile::read(uint64_t offset, size_t size) {
  flush();
  std::string bytes(size, '\0');
  for (size_t done = 0; done < size;) {
    const ssize_t count =
        pread(descriptor_, bytes.data() + done, size - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) fail("cache", "cannot read {} back: {}", name_, std::strerror(errno));
    done += count;
  }
  return bytes;
}

}  // namespace dmoerm::data
