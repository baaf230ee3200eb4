// Damages config.json, model.safetensors.index.json and the headers of safetensors files at random and loads
// the checkpoint: a clear error or a model, never a crash or a huge allocation. fuzz_checkpoint [--seconds N]
// [--seed S]; build it under sanitizers for long runs.
#include <cstring>

#include "dmoerm/models/checkpoint.h"
#include "tests/fuzz/fuzzer.h"
#include "tests/fuzz/mutator.h"

namespace dmoerm::fuzz {
namespace {

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
void damage_file(const std::string& name, std::string& bytes, const std::vector<std::string>& others,
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

Target checkpoints() {
  const std::vector<Directory> points = starting_points();
  std::vector<std::string> contents;
  for (const Directory& point : points)
    for (const auto& [name, content] : point)
      contents.push_back(name.ends_with(".safetensors") ? content.substr(8, header_size(content)) : content);
  const auto damage = [contents](Directory& files, RandomStream& random) {
    const bool any_file = random.chance(0.4);
    auto file = files.find("config.json");  // the one with most to go wrong
    if (any_file) file = std::next(files.begin(), static_cast<int64_t>(random.below(files.size())));
    damage_file(file->first, file->second, contents, random);
  };
  return {points, damage, [](const fs::path& directory) { models::load_checkpoint(directory); }};
}

}  // namespace
}  // namespace dmoerm::fuzz

int main(int argc, char** argv) {
  return dmoerm::fuzz::fuzz(dmoerm::fuzz::checkpoints(), argc, argv);
}
