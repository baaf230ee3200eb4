// What the program shows: log lines and progress on standard error.
#pragma once

#include <string>

namespace dmoerm::app {

// Sends the library's messages to standard error, and progress to a line that is rewritten on a terminal, or
// to plain lines at most every ten seconds elsewhere.
void install_console();

// The first line of a message: LibTorch's own errors carry a stack trace that helps no user.
std::string one_line(const std::string& text);

// Thrown by a command that has done its work and said what was wrong (for example bad lines in its input).
struct ExitStatus {
  int code;
};

}  // namespace dmoerm::app
