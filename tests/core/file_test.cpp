#include <gmock/gmock.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <zlib.h>
#include <zstd.h>

#include <thread>

#include "dmoerm/core/hash.h"
#include "dmoerm/core/json.h"
#include "tests/core/temporary_directory.h"

namespace dmoerm {
namespace {

using ::testing::HasSubstr;
using FileTest = TemporaryDirectoryTest;

std::vector<std::string> lines_of(const fs::path& path) {
  LineReader reader(path);
  std::vector<std::string> lines;
  for (std::string line; reader.next(line);) lines.push_back(line);
  EXPECT_EQ(reader.line_number(), lines.size());
  return lines;
}

void write_gzip(const fs::path& path, const std::string& text, const char* mode = "wb") {
  gzFile file = gzopen(path.c_str(), mode);
  ASSERT_EQ(gzwrite(file, text.data(), text.size()), static_cast<int>(text.size()));
  gzclose(file);
}

std::string zstd_frame(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

TEST_F(FileTest, AtomicFileAppearsWholeOrNotAtAll) {
  const fs::path path = directory_ / "deep" / "file.txt";
  write_file_atomically(path, "old");
  {
    AtomicFile file(path);
    file.write("new");
  }  // never committed
  EXPECT_EQ(read_file(path), "old");
  write_file_atomically(path, "new");
  EXPECT_EQ(read_file(path), "new");
  EXPECT_EQ(std::distance(fs::directory_iterator(path.parent_path()), fs::directory_iterator()), 1)
      << "no temporary is left";
}

TEST_F(FileTest, AtomicFileKeepsLinksModesAndPipes) {
  const fs::path file = directory_ / "file", link = directory_ / "link", lost = directory_ / "lost";
  write_file_atomically(file, "old");
  fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink("file", link);
  fs::create_symlink("not there yet", lost);
  write_file_atomically(link, "new");
  write_file_atomically(lost, "there");
  EXPECT_TRUE(fs::is_symlink(link) && fs::is_symlink(lost));
  EXPECT_EQ(read_file(file), "new");
  EXPECT_EQ(fs::status(file).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(read_file(directory_ / "not there yet"), "there");

  const fs::path pipe = directory_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::string read;
  std::thread reader([&] { read = read_file(pipe); });
  write_file_atomically(pipe, "through");
  reader.join();
  EXPECT_EQ(read, "through");
  EXPECT_TRUE(fs::is_fifo(pipe));
  EXPECT_THROW(AtomicFile{directory_}, Error);  // a folder
}

TEST_F(FileTest, AtomicDirectoryHoldsNothingOfAKilledProcess) {
  fs::path temporary;
  { temporary = AtomicDirectory(directory_ / "model").path(); }
  // The next one has the next number, or in another process the same.
  const std::string name = temporary.filename().string();
  const int number = std::stoi(name.substr(name.rfind('.', name.size() - 5) + 1)) + 1;
  const fs::path next = directory_ / fmt::format(".model.{}.{}.tmp", getpid(), number);
  write_file_atomically(next / "left over", "x");  // takes a number too
  fs::rename(next, directory_ / fmt::format(".model.{}.{}.tmp", getpid(), number + 1));
  AtomicDirectory directory(directory_ / "model");
  EXPECT_TRUE(fs::is_empty(directory.path()));
}

TEST_F(FileTest, AtomicDirectoryReplacesTheOldOne) {
  for (const std::string text : {"first", "second"}) {
    AtomicDirectory directory(directory_ / "model");
    write_file_atomically(directory.path() / "sub" / "file", text);
    if (text == "first") {
      EXPECT_FALSE(fs::exists(directory_ / "model"));
    }
    directory.commit();
  }
  EXPECT_EQ(read_file(directory_ / "model" / "sub" / "file"), "second");
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), fs::directory_iterator()), 1);
}

TEST_F(FileTest, RemovingATreeLeavesWhatItsLinksPointTo) {
  write_file_atomically(directory_ / "kept" / "file", "text");
  write_file_atomically(directory_ / "tree" / "deep" / "er" / "file", "text");
  fs::create_directory_symlink(directory_ / "kept", directory_ / "tree" / "link");
  remove_tree(directory_ / "tree");
  remove_tree(directory_ / "never there");
  EXPECT_FALSE(fs::exists(directory_ / "tree"));
  EXPECT_TRUE(fs::exists(directory_ / "kept" / "file"));
}

TEST_F(FileTest, MissingFilesAndDirectoriesAreNamed) {
  EXPECT_THAT(error_of([&] { read_file(directory_ / "none"); }), HasSubstr("none"));
  EXPECT_THAT(error_of([&] { read_file(directory_); }), HasSubstr("is a directory"));
  EXPECT_THAT(error_of([&] { LineReader(directory_ / "none"); }), HasSubstr("none"));
}

TEST_F(FileTest, LineReaderStopsAtItsLimit) {
  const std::string text(1000, 'x');  // one line
  write_file_atomically(directory_ / "plain", text);
  write_gzip(directory_ / "a.gz", text);
  write_file_atomically(directory_ / "a.zst", zstd_frame(text));
  for (const char* name : {"plain", "a.gz", "a.zst"}) {
    const auto read = [&](uint64_t max_bytes) {
      return error_of([&] {
        LineReader reader(directory_ / name, max_bytes);
        for (std::string line; reader.next(line);) EXPECT_EQ(line, text);
      });
    };
    EXPECT_EQ(read(1000), "") << name;
    EXPECT_THAT(read(999), HasSubstr(fmt::format("{} holds more than 999 bytes", name)));
  }
}

TEST_F(FileTest, LinesEndWithNewlineOnly) {
  write_file_atomically(directory_ / "a", "one\xe2\x80\xa8still one\r\ntwo\n\nlast");
  EXPECT_EQ(lines_of(directory_ / "a"),
            (std::vector<std::string>{"one\xe2\x80\xa8still one", "two", "", "last"}));
  write_file_atomically(directory_ / "empty", "");
  EXPECT_TRUE(lines_of(directory_ / "empty").empty());
}

TEST_F(FileTest, ReadsGzipMembersAndZstdFrames) {
  std::string text;
  std::vector<std::string> expected;
  for (int i = 0; i < 50000; ++i) {
    expected.push_back("line " + std::to_string(i) + std::string(i % 50, 'x'));
    text += expected.back() + "\n";
  }
  write_gzip(directory_ / "a.gz", text);
  EXPECT_EQ(lines_of(directory_ / "a.gz"), expected);
  write_file_atomically(directory_ / "a.zst", zstd_frame(text));
  EXPECT_EQ(lines_of(directory_ / "a.zst"), expected);
  // Several members and frames are one file.
  const size_t half = text.size() / 2;
  write_gzip(directory_ / "b.gz", text.substr(0, half));
  write_gzip(directory_ / "b.gz", text.substr(half), "ab");
  EXPECT_EQ(lines_of(directory_ / "b.gz"), expected);
  write_file_atomically(directory_ / "b.zst",
                        zstd_frame(text.substr(0, half)) + zstd_frame(text.substr(half)));
  EXPECT_EQ(lines_of(directory_ / "b.zst"), expected);
}

TEST_F(FileTest, HighlyCompressibleTextComesOutWhole) {
  const std::string text(5'000'000, 'a');
  write_gzip(directory_ / "a.gz", text);
  write_file_atomically(directory_ / "a.zst", zstd_frame(text));
  EXPECT_EQ(lines_of(directory_ / "a.gz"), std::vector<std::string>{text});
  EXPECT_EQ(lines_of(directory_ / "a.zst"), std::vector<std::string>{text});
}

TEST_F(FileTest, TruncatedAndDamagedStreamsAreErrors) {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += std::to_string(i * 7919) + "\n";
  write_gzip(directory_ / "a.gz", text);
  const std::string gzip = read_file(directory_ / "a.gz"), zstd = zstd_frame(text);
  for (const auto& [name, bytes] : {std::pair{"a.gz", gzip}, std::pair{"a.zst", zstd}}) {
    write_file_atomically(directory_ / name, bytes.substr(0, bytes.size() / 2));
    EXPECT_THAT(error_of([&] { lines_of(directory_ / name); }), HasSubstr("truncated")) << name;
    std::string damaged = bytes;
    for (size_t i = damaged.size() / 2; i < damaged.size() / 2 + 64; ++i)
      damaged[i] = static_cast<char>(~damaged[i]);
    write_file_atomically(directory_ / name, damaged);
    EXPECT_THAT(error_of([&] { lines_of(directory_ / name); }), HasSubstr(name)) << name;
  }
}

TEST_F(FileTest, LockWaitsForItsHolder) {
  int start[2], ends[2];
  ASSERT_EQ(pipe(start), 0);
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();  // before the lock, which it would hold as well
  if (child == 0) {
    char byte = 0;
    if (read(start[0], &byte, 1) != 1) _exit(1);
    FileLock waiting(directory_ / "lock", FileLock::IfHeld::Wait);
    _exit(write(ends[1], "x", 1) == 1 ? 0 : 1);
  }
  auto lock = std::make_unique<FileLock>(directory_ / "lock");
  ASSERT_EQ(write(start[1], "x", 1), 1);
  pollfd output{ends[0], POLLIN, 0};
  EXPECT_EQ(poll(&output, 1, 200), 0);  // it waits
  lock.reset();
  EXPECT_EQ(poll(&output, 1, 10000), 1);
  int status = 1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(FileTest, LockIsHeldByOneProcess) {
  const FileLock lock(directory_ / "lock");
  const pid_t child = fork();
  if (child == 0) {
    try {
      FileLock second(directory_ / "lock");
    } catch (const LockHeld&) {
      _exit(7);
    }
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST(Hash, KnownDigests) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hash64(""), 0x2d06800538d394c2ull);  // XXH3's own test value
}

TEST(Json, ErrorsAreOneLine) {
  for (const std::string bad : {"{\"a\": }", "", "{\"a\": \"\\ud800\"}", "\"\xff\"", "[1, 2", "NaN"}) {
    const std::string message = error_of([&] { parse_json(bad, "f.json"); });
    EXPECT_THAT(message, HasSubstr("f.json")) << bad;
    EXPECT_EQ(message.find('\n'), std::string::npos) << bad;
  }
  EXPECT_THAT(error_of([] {
                json_field<int64_t>(Json{{"a", "x"}}, "a", "f");
              }),
              HasSubstr("\"a\" is a string, expected a whole number"));
  EXPECT_THAT(error_of([] { json_field<int64_t>(Json::object(), "a", "f"); }), HasSubstr("\"a\" is missing"));
}

}  // namespace
}  // namespace dmoerm
