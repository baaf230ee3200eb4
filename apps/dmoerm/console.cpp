#include "apps/dmoerm/console.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>

#include "dmoerm/core/log.h"

namespace dmoerm::app {
namespace {

std::string duration_text(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

std::string progress_text(const ProgressState& state) {
  std::string text = state.label + "  ";
  if (state.total > 0) {
    text += fmt::format("{}/{} {}  {}%", state.done, state.total, state.unit, 100 * state.done / state.total);
  } else {
    text += fmt::format("{} {}", state.done, state.unit);
  }
  text += fmt::format("  {:.1f} {}/s", state.rate, state.unit);
  if (state.finished) {
    text += fmt::format("  took {}", duration_text(state.seconds));
  } else if (state.seconds_left >= 0) {
    text += fmt::format("  {} left", duration_text(state.seconds_left));
  }
  if (!state.detail.empty()) text += "  " + state.detail;
  return text;
}

class ProgressLine {
 public:
  void show(const ProgressState& state) {
    const auto now = std::chrono::steady_clock::now();
    if (isatty(STDERR_FILENO)) {
      std::fprintf(stderr, "\r\033[K%s%s", progress_text(state).c_str(), state.finished ? "\n" : "");
      std::fflush(stderr);
    } else if (state.finished || now - last_ >= std::chrono::seconds(10)) {
      std::fprintf(stderr, "%s\n", progress_text(state).c_str());
      last_ = now;
    }
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace

void install_console() {
  auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
  sink->set_pattern("%^%v%$");
  log().sinks() = {sink};
  set_progress_sink([line = ProgressLine()](const ProgressState& state) mutable { line.show(state); });
}

std::string one_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

}  // namespace dmoerm::app
