// LineReader: one '\n'-terminated line at a time from plain, gzip or zstd files.
#include <zlib.h>
#include <zstd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "dmoerm/core/error.h"
#include "dmoerm/core/file.h"

namespace dmoerm {

// A stream of decompressed bytes. gzip may have several members, zstd several frames.
struct LineReader::Source {
  enum class Kind { Plain, Gzip, Zstd };

  Source(const fs::path& path, uint64_t max_bytes)
      : name(path.string()), max_bytes(max_bytes), input(1 << 17) {
    file = path == "-" ? stdin : std::fopen(path.c_str(), "rb");
    if (file == nullptr) fail("read", "cannot read {}: {}", name, std::strerror(errno));
    input_size = std::fread(input.data(), 1, input.size(), file);
    if (std::ferror(file)) fail("read", "cannot read {}: {}", name, std::strerror(errno));
    const auto* byte = reinterpret_cast<const unsigned char*>(input.data());
    if (input_size >= 2 && byte[0] == 0x1f && byte[1] == 0x8b) {
      kind = Kind::Gzip;
      inflateInit2(&gzip, 15 + 16);
    } else if (input_size >= 4 && byte[0] == 0x28 && byte[1] == 0xb5 && byte[2] == 0x2f && byte[3] == 0xfd) {
      kind = Kind::Zstd;
      zstd = ZSTD_createDStream();
      ZSTD_initDStream(zstd);
    }
  }
  ~Source() {
    if (kind == Kind::Gzip) inflateEnd(&gzip);
    if (zstd != nullptr) ZSTD_freeDStream(zstd);
    if (file != nullptr && file != stdin) std::fclose(file);
  }

  bool refill() {  // makes input_begin < input_size, or says that the file has ended
    if (input_begin < input_size) return true;
    input_begin = 0;
    input_size = std::fread(input.data(), 1, input.size(), file);
    if (std::ferror(file)) fail("read", "cannot read {}: {}", name, std::strerror(errno));
    return input_size > 0;
  }

  // Appends the next decompressed bytes to `out`; false at the end.
  bool read(std::string& out) {
    const size_t before = out.size();
    if (!read_block(out)) return false;
    num_bytes += out.size() - before;
    if (num_bytes > max_bytes)
      fail("read", "{} holds more than {} bytes{}", name, max_bytes,
           kind == Kind::Plain ? "" : " when it is decompressed");
    return true;
  }

  bool read_block(std::string& out) {
    if (!output_pending && !refill()) {
      if (!frame_ended) fail("read", "{} is truncated: the compressed stream ends early", name);
      return false;
    }
    if (kind == Kind::Plain) {
      out.append(input.data() + input_begin, input_size - input_begin);
      input_begin = input_size;
      return true;
    }
    char block[1 << 16];
    out.append(block, kind == Kind::Gzip ? read_gzip(block, sizeof block) : read_zstd(block, sizeof block));
    return true;
  }

  size_t read_gzip(char* block, size_t capacity) {
    if (frame_ended && started) inflateReset(&gzip);  // a further member
    started = true;
    gzip.next_in = reinterpret_cast<Bytef*>(input.data() + input_begin);
    gzip.avail_in = input_size - input_begin;
    gzip.next_out = reinterpret_cast<Bytef*>(block);
    gzip.avail_out = capacity;
    const int status = inflate(&gzip, Z_NO_FLUSH);
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
      fail("read", "{} is damaged: gzip says {}", name, gzip.msg != nullptr ? gzip.msg : "bad data");
    input_begin = input_size - gzip.avail_in;
    frame_ended = status == Z_STREAM_END;
    output_pending = gzip.avail_out == 0 && !frame_ended;
    return capacity - gzip.avail_out;
  }

  size_t read_zstd(char* block, size_t capacity) {
    ZSTD_inBuffer in{input.data(), input_size, input_begin};
    ZSTD_outBuffer out{block, capacity, 0};
    const size_t status = ZSTD_decompressStream(zstd, &out, &in);
    if (ZSTD_isError(status)) fail("read", "{} is damaged: zstd says {}", name, ZSTD_getErrorName(status));
    input_begin = in.pos;
    frame_ended = status == 0;
    output_pending = out.pos == capacity && !frame_ended;
    return out.pos;
  }

  std::string name;
  uint64_t num_bytes = 0, max_bytes;
  std::FILE* file = nullptr;
  Kind kind = Kind::Plain;
  z_stream gzip{};
  ZSTD_DStream* zstd = nullptr;
  std::vector<char> input;
  size_t input_begin = 0, input_size = 0;
  bool frame_ended = true, started = false, output_pending = false;
};

LineReader::LineReader(const fs::path& path, uint64_t max_bytes)
    : source_(std::make_unique<Source>(path, max_bytes)) {}
LineReader::~LineReader() = default;

bool LineReader::fill() {
  buffer_.erase(0, begin_);
  begin_ = 0;
  return source_->read(buffer_);
}

bool LineReader::next(std::string& line) {
  size_t searched = begin_;
  size_t end = std::string::npos;
  while ((end = buffer_.find('\n', searched)) == std::string::npos) {
    const size_t pending = buffer_.size() - begin_;
    if (!fill()) break;
    searched = pending;
  }
  if (end == std::string::npos && begin_ == buffer_.size()) return false;
  const size_t stop = end == std::string::npos ? buffer_.size() : end;
  line.assign(buffer_, begin_, stop - begin_);
  if (!line.empty() && line.back() == '\r') line.pop_back();
  begin_ = end == std::string::npos ? buffer_.size() : end + 1;
  ++line_;
  return true;
}

}  // namespace dmoerm
