#include "dmoerm/label/line_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "dmoerm/core/error.h"
#include "dmoerm/core/log.h"

namespace dmoerm::label {
namespace {

namespace fs = std::filesystem;

// Bytes up to and with the last newline.
uintmax_t whole_lines_size(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  for (uintmax_t end = fs::file_size(path); end > 0; --end) {
    file.seekg(static_cast<std::streamoff>(end - 1));
    if (file.get() == '\n') return end;
  }
  return 0;
}

}  // namespace

LineLog::LineLog(fs::path path) : path_(std::move(path)) {
  if (path_.has_parent_path()) fs::create_directories(path_.parent_path());
  descriptor_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (descriptor_ < 0) fail("labels", "cannot write {}: {}", path_.string(), std::strerror(errno));
  const uintmax_t whole = whole_lines_size(path_), size = fs::file_size(path_);
  if (whole == size) return;
  fs::resize_file(path_, whole);
  log().warn("{}: removed an unfinished last line of {} bytes", path_.string(), size - whole);
}

LineLog::~LineLog() {
  if (descriptor_ >= 0) close(descriptor_);
}

void LineLog::append(std::string line) {
  line += '\n';
  for (size_t done = 0; done < line.size();) {
    const ssize_t written = write(descriptor_, line.data() + done, line.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("labels", "cannot write {}: {}", path_.string(), std::strerror(errno));
    done += static_cast<size_t>(written);
  }
}

}  // namespace dmoerm::label
