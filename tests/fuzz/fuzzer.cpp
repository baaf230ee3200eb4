#include "tests/fuzz/fuzzer.h"

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>

#include "dmoerm/core/error.h"

namespace dmoerm::fuzz {
namespace {

constexpr double kLongestCase = 20;         // seconds, under sanitizers and beside other work
constexpr int64_t kMostMemory = 1LL << 31;  // bytes: the fixtures are a few hundred kB

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int64_t peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * int64_t{1024};
}

void write(const Directory& files, const fs::path& directory) {
  remove_tree(directory);
  fs::create_directories(directory);
  for (const auto& [name, content] : files) std::ofstream(directory / name, std::ios::binary) << content;
}

// What is wrong with one case; "" when nothing is.
std::string finding(const Target& target, const fs::path& directory, int64_t& refused) {
  const double begin = now();
  try {
    target.use(directory);
  } catch (const Error& error) {
    ++refused;
    if (std::string_view(error.what()).find('\n') != std::string_view::npos)
      return fmt::format("the error has several lines: {}", error.what());
  } catch (const std::exception& error) {
    return fmt::format("not an Error of ours: {}", error.what());
  }
  if (now() - begin > kLongestCase) return fmt::format("took more than {} s", kLongestCase);
  if (peak_memory() > kMostMemory) return "took more than 2 GiB";
  return "";
}

int run(const Target& target, double seconds, uint64_t seed) {
  const fs::path directory = fs::temp_directory_path() / fmt::format("dmoerm_fuzz_{}", ::getpid());
  int64_t refused = 0;
  uint64_t round = 0;
  for (const double begin = now(); now() - begin < seconds; ++round) {
    RandomStream random(seed, "fuzz", {round});
    Directory files = target.starting_points[random.below(target.starting_points.size())];
    target.damage(files, random);
    write(files, directory);
    const std::string found = finding(target, directory, refused);
    if (found.empty()) continue;
    fmt::print(stderr, "{}\nseed {}, round {}; the files are in {}\n", found, seed, round,
               directory.string());
    return 1;
  }
  remove_tree(directory);
  fmt::print("{} cases, {} refused, peak memory {} MB\n", round, refused, peak_memory() >> 20);
  return refused > 0 && refused < static_cast<int64_t>(round) ? 0 : 1;
}

}  // namespace

int fuzz(const Target& target, int argc, char** argv) {
  double seconds = 5;
  uint64_t seed = 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    if (name == "--seconds") seconds = std::atof(argv[i + 1]);
    if (name == "--seed") seed = std::strtoull(argv[i + 1], nullptr, 10);
  }
  return run(target, seconds, seed);
}

}  // namespace dmoerm::fuzz
