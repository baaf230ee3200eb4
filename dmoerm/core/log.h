// Messages and progress of the library. The library itself never prints: the program installs the sinks.
#pragma once

#include <spdlog/logger.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace dmoerm {

// The library's logger; silent until a program adds a sink to it.
spdlog::logger& log();

struct ProgressState {
  std::string label, unit, detail;  // detail: free text such as "loss 0.52  acc 0.71"
  int64_t done = 0, total = 0;      // total 0: unknown
  double seconds = 0, rate = 0;     // rate: units a second since the start
  double seconds_left = -1;         // -1: unknown
  bool finished = false;
};

// Where progress goes; an empty function silences it.
void set_progress_sink(std::function<void(const ProgressState&)> sink);

// Counts work and reports it at most four times a second.
class Progress {
 public:
  Progress(std::string label, int64_t total, std::string unit);
  ~Progress();  // reports the end
  void advance(int64_t count, const std::string& detail = "");
  void start_at(int64_t done);  // work done before (a resumed run): not counted in the rate

 private:
  void report();
  ProgressState state_;
  int64_t offset_ = 0;
  std::chrono::steady_clock::time_point begin_, last_;
};

}  // namespace dmoerm
