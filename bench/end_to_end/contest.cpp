#include "bench/end_to_end/contest.h"

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <fstream>

#include "dmoerm/core/device_memory.h"
#include "dmoerm/core/error.h"

namespace dmoerm::bench {
namespace {

double seconds_of(const Way& way, torch::Device device) {
  const auto begin = std::chrono::steady_clock::now();
  way.run();
  if (device.is_cuda()) torch::cuda::synchronize();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// A line of /proc/self/status in MiB; 0 where there is none.
double status_mebibytes(const std::string& key) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(key + ":")) return std::stod(line.substr(key.size() + 1)) / 1024;
  return 0;
}

// Runs once. Memory is given back and the high-water mark reset first.
double extra_mebibytes_of(const Way& way, torch::Device device, std::vector<Tensor>& result) {
  if (device.is_cuda()) {
    release_unused_memory(device);
    peak_device_memory(device);
    const auto before = static_cast<double>(peak_device_memory(device));
    result = way.run();
    return (static_cast<double>(peak_device_memory(device)) - before) / (1 << 20);
  }
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << 5;
  const double before = status_mebibytes("VmRSS");
  result = way.run();
  return status_mebibytes("VmHWM") - before;
}

// The largest difference; Error where it is above what is allowed.
double compare(const std::vector<Tensor>& ours, const std::vector<Tensor>& usual, const Contest& contest) {
  DMOERM_ASSERT(ours.size() == usual.size());
  double largest = 0;
  size_t worst = 0, too_far = 0;
  for (size_t i = 0; i < ours.size(); ++i) {
    const Tensor expected = usual[i].to(torch::kFloat32);
    const double size = expected.norm().item<double>();
    const double difference =
        (ours[i].to(torch::kFloat32) - expected).norm().item<double>() / std::max(size, 1e-30);
    if (!(difference <= contest.tolerance)) ++too_far;
    if (!(difference <= largest)) {
      worst = i;
      largest = difference;
    }
  }
  if (too_far > 0)
    fail(contest.workload,
         "{} of {} results differ too far, number {} by {:.2g} of its norm; expected at most {}", too_far,
         ours.size(), worst, largest, contest.tolerance);
  return largest;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace

Outcome run_contest(const Contest& contest, int64_t repeats) {
  Outcome outcome;
  std::vector<const Way*> ways = {&contest.ours};
  for (const Way& way : contest.usual) ways.push_back(&way);
  std::vector<Cost> costs;
  {
    std::vector<Tensor> expected, result;
    for (const Way* way : ways) {
      costs.push_back({0, way->flops, extra_mebibytes_of(*way, contest.device, result)});
      if (way == ways.front()) {
        expected.clear();
        for (const Tensor& tensor : result) expected.push_back(tensor.detach().cpu());
        continue;
      }
      for (Tensor& tensor : result) tensor = tensor.detach().cpu();
      outcome.difference = std::max(outcome.difference, compare(expected, result, contest));
      if (contest.device.is_cuda()) break;  // one of them will do
    }
  }
  release_unused_memory(contest.device);
  if (contest.before_timing) contest.before_timing();
  if (contest.device.is_cuda() && !contest.time_usual) ways.resize(1);
  for (const Way* way : ways) seconds_of(*way, contest.device);
  std::vector<std::vector<double>> seconds(ways.size());
  for (int64_t i = 0; i < repeats; ++i)
    for (size_t w = 0; w < ways.size(); ++w) seconds[w].push_back(seconds_of(*ways[w], contest.device));
  for (size_t w = 0; w < ways.size(); ++w) costs[w].seconds = median(seconds[w]);
  outcome.ours = costs.front();
  const auto faster = [](const Cost& a, const Cost& b) { return a.seconds < b.seconds; };
  if (ways.size() > 1) outcome.usual = *std::min_element(costs.begin() + 1, costs.end(), faster);
  return outcome;
}

std::string table_head(torch::Device device) {
  if (device.is_cuda())
    return "| workload | tokens | difference | seconds | tokens/s | MFU | MiB | peer tokens/s (MFU) | times "
           "faster |\n"
           "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n";
  return "| workload | against | tokens | usual tokens/s | MFU | ours tokens/s | MFU | times faster | usual "
         "MiB | ours MiB |\n"
         "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n";
}

std::string table_row(const Contest& contest, const Outcome& outcome, double matmul_rate) {
  const auto tokens = static_cast<double>(contest.tokens);
  const auto mfu = [&](const Cost& cost) { return 100 * cost.flops / cost.seconds / matmul_rate; };
  const Cost& ours = outcome.ours;
  if (contest.device.is_cuda())
    return fmt::format("| {} | {} | {:.1g} | {:.4f} | {:.0f} | {:.1f}% | {:.0f} |", contest.workload,
                       contest.tokens, outcome.difference, ours.seconds, tokens / ours.seconds, mfu(ours),
                       ours.extra_mebibytes);
  return fmt::format("| {} | {} | {} | {:.0f} | {:.0f}% | {:.0f} | {:.0f}% | {:.2f} | {:.0f} | {:.0f} |\n",
                     contest.workload, contest.against, contest.tokens, tokens / outcome.usual.seconds,
                     mfu(outcome.usual), tokens / ours.seconds, mfu(ours),
                     outcome.usual.seconds / ours.seconds, outcome.usual.extra_mebibytes,
                     ours.extra_mebibytes);
}

}  // namespace dmoerm::bench
