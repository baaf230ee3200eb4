#include "bench/end_to_end/contest.h"

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <fstream>

#include "dmoerm/core/error.h"

namespace dmoerm::bench {
namespace {

double seconds_of(const Way& way) {
  const auto begin = std::chrono::steady_clock::now();
  way.run();
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
double extra_mebibytes_of(const Way& way, std::vector<Tensor>& result) {
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << 5;
  const double before = status_mebibytes("VmRSS");
  result = way.run();
  return status_mebibytes("VmHWM") - before;
}

void check_equal(const std::vector<Tensor>& ours, const std::vector<Tensor>& usual, const Contest& contest) {
  DMOERM_ASSERT(ours.size() == usual.size());
  for (size_t i = 0; i < ours.size(); ++i) {
    const double difference = (ours[i] - usual[i]).abs().max().item<double>();
    const double largest = usual[i].abs().max().item<double>();
    if (!(difference <= contest.tolerance * largest))
      fail(contest.workload,
           "result {} differs by {:.2g} where the largest value is {:.2g}, expected at most {} of it", i,
           difference, largest, contest.tolerance);
  }
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace

Outcome run_contest(const Contest& contest, int64_t repeats) {
  std::vector<const Way*> ways = {&contest.ours};
  for (const Way& way : contest.usual) ways.push_back(&way);
  std::vector<Cost> costs;
  std::vector<Tensor> expected, result;
  for (const Way* way : ways) {
    costs.push_back({0, way->flops, extra_mebibytes_of(*way, result)});
    if (way == ways.front()) expected = result;
    check_equal(expected, result, contest);
  }
  std::vector<std::vector<double>> seconds(ways.size());
  for (int64_t i = 0; i < repeats; ++i)
    for (size_t w = 0; w < ways.size(); ++w) seconds[w].push_back(seconds_of(*ways[w]));
  for (size_t w = 0; w < ways.size(); ++w) costs[w].seconds = median(seconds[w]);
  const auto faster = [](const Cost& a, const Cost& b) { return a.seconds < b.seconds; };
  return {*std::min_element(costs.begin() + 1, costs.end(), faster), costs.front()};
}

std::string table_head() {
  return "| workload | against | tokens | usual tokens/s | MFU | ours tokens/s | MFU | times faster | usual "
         "MiB | ours MiB |\n"
         "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n";
}

std::string table_row(const Contest& contest, const Outcome& outcome, double matmul_rate) {
  const auto tokens = static_cast<double>(contest.tokens);
  const auto mfu = [&](const Cost& cost) { return 100 * cost.flops / cost.seconds / matmul_rate; };
  return fmt::format("| {} | {} | {} | {:.0f} | {:.0f}% | {:.0f} | {:.0f}% | {:.2f} | {:.0f} | {:.0f} |\n",
                     contest.workload, contest.against, contest.tokens, tokens / outcome.usual.seconds,
                     mfu(outcome.usual), tokens / outcome.ours.seconds, mfu(outcome.ours),
                     outcome.usual.seconds / outcome.ours.seconds, outcome.usual.extra_mebibytes,
                     outcome.ours.extra_mebibytes);
}

}  // namespace dmoerm::bench
