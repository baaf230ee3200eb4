// Damages config.json, model.safetensors.index.json and the headers of safetensors files at random and loads
// the checkpoint: a clear error or a model, never a crash or a huge allocation. fuzz_checkpoint [--seconds N]
// [--seed S]; build it under sanitizers for long runs.
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>

#include "dmoerm/core/file.h"
#include "dmoerm/core/json.h"
#include "dmoerm/models/checkpoint.h"
#include "tests/fuzz/mutator.h"

namespace dmoerm::fuzz {
namespace {

using Clock = std::chrono::steady_clock;
using Directory = std::map<std::string, std::string>;  // file name -> content

const fs::path kFixtures = DMOERM_TEST_DATA;

constexpr double kLongestCase = 20;         // seconds, under sanitizers and beside other work
constexpr int64_t kMostMemory = 1LL << 31;  // bytes: the fixtures are a few hundred kB

constexpr const char* kStartingPoints[] = {"llama_tied_bias_sharded-lm",
                                           "llama_rope_llama3-seq",
                                           "llama_rope_yarn-lm",
                                           "qwen2-seq",
                                           "qwen3-lm",
                                           "mistral-seq",
                                           "gpt_neox-seq",
                                           "deepseek_v2-seq",
                                           "deepseek_v3-lm",
                                           "qwen2_moe-lm",
                                           "mixtral-seq"};

std::vector<Directory> starting_points() {
  std::vector<Directory> points;
  for (const char* name : kStartingPoints) {
    Directory& files = points.emplace_back();
    for (const auto& entry : fs::directory_iterator(kFixtures / name))
      if (entry.path().filename() != "expected.safetensors")
        files[entry.path().filename().string()] = read_file(entry.path());
  }
  return points;
}

size_t header_size(const std::string& bytes) {
  uint64_t size = 0;
  std::memcpy(&size, bytes.data(), std::min<size_t>(8, bytes.size()));
  return std::min<uint64_t>(size, bytes.size() - 8);
}

// JSON files as they are; of safetensors files the header, whose length is then most of the time right.
void damage(const std::string& name, std::string& bytes, const std::vector<std::string>& others,
            RandomStream& random) {
  if (!name.ends_with(".safetensors") || random.chance(0.05)) {
    bytes = mutate(bytes, others, random);
    return;
  }
  const size_t size = header_size(bytes);
  std::string header = mutate(bytes.substr(8, size), others, random);
  std::string length = bytes.substr(0, 8);
  const uint64_t new_size = header.size();
  if (random.chance(0.9)) std::memcpy(length.data(), &new_size, 8);
  bytes = length + header + bytes.substr(8 + size);
}

int64_t peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * int64_t{1024};
}

// Loads one case; false, said on standard error, when it is a finding.
bool run_case(const Directory& files, const fs::path& directory, int64_t& refused) {
  const auto begin = Clock::now();
  fs::remove_all(directory);
  fs::create_directories(directory);
  for (const auto& [name, content] : files) std::ofstream(directory / name, std::ios::binary) << content;
  try {
    models::load_checkpoint(directory);
  } catch (const Error& error) {
    ++refused;
    if (std::string_view(error.what()).find('\n') != std::string_view::npos)
      return std::fprintf(stderr, "the error has several lines: %s\n", error.what()), false;
  } catch (const std::exception& error) {
    return std::fprintf(stderr, "not an Error of ours: %s\n", error.what()), false;
  }
  if (std::chrono::duration<double>(Clock::now() - begin).count() > kLongestCase)
    return std::fprintf(stderr, "took more than %g s\n", kLongestCase), false;
  if (peak_memory() > kMostMemory) return std::fprintf(stderr, "took more than 2 GiB\n"), false;
  return true;
}

int run(double seconds, uint64_t seed) {
  const fs::path directory = fs::temp_directory_path() / fmt::format("dmoerm_fuzz_{}", ::getpid());
  const std::vector<Directory> points = starting_points();
  std::vector<std::string> contents;
  for (const Directory& point : points)
    for (const auto& [name, content] : point)
      contents.push_back(name.ends_with(".safetensors") ? content.substr(8, header_size(content)) : content);
  int64_t cases = 0, refused = 0;
  const auto begin = Clock::now();
  for (uint64_t round = 0; std::chrono::duration<double>(Clock::now() - begin).count() < seconds; ++round) {
    RandomStream random(seed, "fuzz", {round});
    Directory files = points[random.below(points.size())];
    const bool any_file = random.chance(0.4);
    auto file = files.find("config.json");  // the one with most to go wrong
    if (any_file) file = std::next(files.begin(), static_cast<int64_t>(random.below(files.size())));
    damage(file->first, file->second, contents, random);
    ++cases;
    if (run_case(files, directory, refused)) continue;
    std::fprintf(stderr, "seed %llu, round %llu; the files are in %s\n",
                 static_cast<unsigned long long>(seed), static_cast<unsigned long long>(round),
                 directory.c_str());
    return 1;
  }
  fs::remove_all(directory);
  std::printf("%lld cases, %lld refused, peak memory %lld MB\n", static_cast<long long>(cases),
              static_cast<long long>(refused), static_cast<long long>(peak_memory() >> 20));
  return refused > 0 && refused < cases ? 0 : 1;
}

}  // namespace
}  // namespace dmoerm::fuzz

int main(int argc, char** argv) {
  double seconds = 5;
  uint64_t seed = 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    if (name == "--seconds") seconds = std::atof(argv[i + 1]);
    if (name == "--seed") seed = std::strtoull(argv[i + 1], nullptr, 10);
  }
  return dmoerm::fuzz::run(seconds, seed);
}
