#include "dmoerm/study/gnuplot.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "dmoerm/core/error.h"

namespace dmoerm::study {
namespace {

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

File temporary_file() {
  File file(std::tmpfile(), std::fclose);
  if (!file) fail("gnuplot", "cannot create a temporary file: {}", std::strerror(errno));
  return file;
}

std::string read_all(std::FILE* file) {
  std::string text;
  std::rewind(file);
  char buffer[4096];
  for (size_t count; (count = std::fread(buffer, 1, sizeof(buffer), file)) > 0;) text.append(buffer, count);
  return text;
}

// Starts gnuplot on three files and waits for it; returns its exit status, or -1 when a signal ended it, or
// nothing when there is no gnuplot.
std::optional<int> run(std::FILE* input, std::FILE* output, std::FILE* messages) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, fileno(input), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, fileno(output), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, fileno(messages), STDERR_FILENO);
  char name[] = "gnuplot";
  char* arguments[] = {name, nullptr};
  pid_t child = 0;
  const int error = posix_spawnp(&child, name, &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error == ENOENT) return {};
  if (error != 0) fail("gnuplot", "cannot start gnuplot: {}", std::strerror(error));
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) fail("gnuplot", "lost gnuplot: {}", std::strerror(errno));
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

std::optional<std::string> run_gnuplot(const std::string& script) {
  const File input = temporary_file(), output = temporary_file(), messages = temporary_file();
  if (std::fwrite(script.data(), 1, script.size(), input.get()) != script.size())
    fail("gnuplot", "cannot write a temporary file: {}", std::strerror(errno));
  std::rewind(input.get());  // also flushes
  const std::optional<int> status = run(input.get(), output.get(), messages.get());
  if (!status) return {};
  if (*status != 0) {
    const std::string text = read_all(messages.get());
    const size_t begin = std::min(text.find_first_not_of(" \n\t"), text.size());
    fail("gnuplot", "gnuplot ended with status {}: {}", *status,
         text.substr(begin, text.find('\n', begin) - begin));
  }
  return read_all(output.get());
}

}  // namespace dmoerm::study
