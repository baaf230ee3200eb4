#include "dmoerm/core/log.h"

#include <spdlog/sinks/null_sink.h>

namespace dmoerm {
namespace {

std::function<void(const ProgressState&)>& sink() {
  static std::function<void(const ProgressState&)> function;
  return function;
}

}  // namespace

spdlog::logger& log() {
  static spdlog::logger logger("dmoerm", std::make_shared<spdlog::sinks::null_sink_mt>());
  return logger;
}

void set_progress_sink(std::function<void(const ProgressState&)> new_sink) {
  sink() = std::move(new_sink);
}

Progress::Progress(std::string label, int64_t total, std::string unit)
    : begin_(std::chrono::steady_clock::now()), last_(begin_) {
  state_.label = std::move(label);
  state_.unit = std::move(unit);
  state_.total = total;
}

Progress::~Progress() {
  state_.finished = true;
  report();
}

void Progress::start_at(int64_t done) {
  state_.done = offset_ = done;
}

void Progress::advance(int64_t count, const std::string& detail) {
  state_.done += count;
  if (!detail.empty()) state_.detail = detail;
  const auto now = std::chrono::steady_clock::now();
  if (now - last_ < std::chrono::milliseconds(250)) return;
  last_ = now;
  report();
}

void Progress::report() {
  if (!sink()) return;
  state_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  state_.rate = state_.seconds > 0 ? static_cast<double>(state_.done - offset_) / state_.seconds : 0;
  const bool known = state_.total > 0 && state_.rate > 0;
  state_.seconds_left = known ? static_cast<double>(state_.total - state_.done) / state_.rate : -1;
  sink()(state_);
}

}  // namespace dmoerm
