#include "dmoerm/label/line_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "dmoerm/core/error.h"
#include "dmoerm/core/log.h"

namespace dmoerm::label {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBlock = 1 << 20;
constexpr auto kSyncEvery = std::chrono::seconds(1);

}  // namespace

LineLog::LineLog(fs::path path, Mode mode) : path_(std::move(path)) {
  if (mode == Mode::Append && path_.has_parent_path()) fs::create_directories(path_.parent_path());
  const int flags = mode == Mode::Append ? O_RDWR | O_CREAT | O_APPEND : O_RDONLY;
  descriptor_ = open(path_.c_str(), flags | O_CLOEXEC, 0644);
  if (descriptor_ < 0 && mode == Mode::Read && errno == ENOENT) return;
  if (descriptor_ < 0) fail("labels", "cannot open {}: {}", path_.string(), std::strerror(errno));
  const uint64_t file_size = fs::file_size(path_);
  size_ = file_size;
  for (uint64_t end = file_size; end > 0;) {  // back to behind the last newline
    const size_t length = std::min<uint64_t>(kBlock, end);
    const size_t newline = read(end - length, length).rfind('\n');
    size_ = newline == std::string::npos ? end - length : end - length + newline + 1;
    if (newline != std::string::npos) break;
    end -= length;
  }
  if (mode == Mode::Read || size_ == file_size) return;
  fs::resize_file(path_, size_);
  log().warn("{}: removed an unfinished last line of {} bytes", path_.string(), file_size - size_);
}

LineLog::~LineLog() {
  if (!synced_) fdatasync(descriptor_);
  if (descriptor_ >= 0) close(descriptor_);
}

std::string LineLog::read(uint64_t begin, size_t size) const {
  std::string bytes(size, '\0');
  for (size_t done = 0; done < size;) {
    const ssize_t got =
        pread(descriptor_, bytes.data() + done, size - done, static_cast<off_t>(begin + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0)
      fail("labels", "cannot read {}: {}", path_.string(),
           got == 0 ? "it has been cut" : std::strerror(errno));
    done += static_cast<size_t>(got);
  }
  return bytes;
}

void LineLog::for_each_line(const Visit& visit) const {
  std::string line;
  uint64_t begin = 0;
  size_t number = 0;
  for (uint64_t at = 0; at < size_;) {
    const std::string block = read(at, std::min<uint64_t>(kBlock, size_ - at));
    for (size_t from = 0; from < block.size();) {
      const size_t newline = block.find('\n', from);
      line.append(block, from, std::min(newline, block.size()) - from);
      if (newline == std::string::npos) break;
      visit(line, begin, ++number);
      line.clear();
      from = newline + 1;
      begin = at + from;
    }
    at += block.size();
  }
}

uint64_t LineLog::append(std::string line) {
  line += '\n';
  for (size_t done = 0; done < line.size();) {
    const ssize_t written = write(descriptor_, line.data() + done, line.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("labels", "cannot write {}: {}", path_.string(), std::strerror(errno));
    done += static_cast<size_t>(written);
  }
  const uint64_t begin = size_;
  size_ += line.size();
  synced_ = false;
  if (std::chrono::steady_clock::now() - last_sync_ >= kSyncEvery) sync();
  return begin;
}

void LineLog::sync() {
  if (fdatasync(descriptor_) != 0 && errno != EINVAL)
    fail("labels", "cannot write {}: {}", path_.string(), std::strerror(errno));
  synced_ = true;
  last_sync_ = std::chrono::steady_clock::now();
}

}  // namespace dmoerm::label
