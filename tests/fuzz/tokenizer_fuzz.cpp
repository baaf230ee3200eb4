// Damages the files of tokenizers at random, loads and uses them: a clear error or a tokenizer, never a
// crash, a hang or a huge allocation. fuzz_tokenizer [--seconds N] [--seed S]; build it under sanitizers for
// long runs.
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>

#include "dmoerm/core/file.h"
#include "dmoerm/core/json.h"
#include "dmoerm/text/tokenizer.h"
#include "tests/fuzz/mutator.h"

namespace dmoerm::fuzz {
namespace {

using Clock = std::chrono::steady_clock;
using Directory = std::map<std::string, std::string>;  // file name -> content

const fs::path kFixtures = DMOERM_TEST_DATA;

constexpr double kLongestCase = 20;         // seconds, under sanitizers and beside other work
constexpr int64_t kMostMemory = 1LL << 31;  // bytes: the fixtures are a few hundred kB

const char* const kConfig = R"({"tokenizer_class": "Qwen2Tokenizer", "add_bos_token": false, "legacy": false,
  "bos_token": null, "eos_token": {"content": "<|im_end|>", "special": true}, "pad_token": "<|endoftext|>",
  "added_tokens_decoder": {"640": {"content": "<x>", "special": true, "lstrip": true}}, "chat_template": "x"})";

// base64 of single bytes and of the fixture's tokens would say no more: the 256 bytes and a few pairs.
Directory rank_directory() {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string ranks;
  int rank = 0;
  for (int byte = 0; byte < 256; ++byte)
    ranks += fmt::format("{}{}== {}\n", kDigits[byte >> 2], kDigits[(byte & 3) << 4], rank++);
  for (const char* pair : {"dGg=", "aGU=", "dGhl", "IHRoZQ==", "YWE=", "YWFh"})
    ranks += fmt::format("{} {}\n", pair, rank++);
  return {{"qwen.tiktoken", ranks}};
}

Directory vocab_directory(const std::string& tokenizer_json) {
  const Json model = parse_json(tokenizer_json, "fixture")["model"];
  std::string merges = "#version: 0.2\n";
  for (const Json& merge : model["merges"])
    merges += merge[0].get<std::string>() + " " + merge[1].get<std::string>() + "\n";
  return {{"vocab.json", model["vocab"].dump()}, {"merges.txt", merges}, {"tokenizer_config.json", kConfig}};
}

std::vector<Directory> starting_points() {
  const std::string byte_level = read_file(kFixtures / "tokenizer-byte_level/tokenizer.json");
  std::vector<Directory> points = {rank_directory(), vocab_directory(byte_level)};
  points.push_back({{"tokenizer.json", byte_level}, {"tokenizer_config.json", kConfig}});
  points.push_back({{"tokenizer.json", read_file(kFixtures / "tokenizer-byte_fallback/tokenizer.json")},
                    {"added_tokens.json", R"({"<pad>": 640})"},
                    {"special_tokens_map.json", R"({"pad_token": "<pad>"})"}});
  for (const char* kind : {"bpe", "unigram"})
    points.push_back(
        {{"tokenizer.model",
          read_file(kFixtures / fmt::format("tokenizer-sentencepiece_{}/tokenizer.model", kind))}});
  // Without the long lists, so that damage finds the rest.
  Json small = parse_json(byte_level, "fixture");
  small["model"]["vocab"] = {{"a", 0}, {"b", 1}, {"ab", 2}, {"<0x41>", 3}};
  small["model"]["merges"] = {{"a", "b"}};
  small["added_tokens"] = {{{"id", 4}, {"content", "<s>"}, {"special", true}, {"rstrip", true}},
                           {{"id", 5}, {"content", "é"}, {"normalized", true}, {"single_word", true}}};
  const Json steps = {{{"type", "Prepend"}, {"prepend", "▁"}},
                      {{"type", "NFKC"}},
                      {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}}};
  small["normalizer"] = {{"type", "Sequence"}, {"normalizers", steps}};
  small["post_processor"] = parse_json(
      R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
          "special_tokens": {"<s>": {"ids": [4]}}})",
      "fuzz");
  points.push_back({{"tokenizer.json", small.dump()}});
  return points;
}

void use(const fs::path& directory) {
  const auto tokenizer = text::Tokenizer::load(directory);
  std::vector<int32_t> ids =
      tokenizer.encode("The <s> text,\xff <|im_end|> 你好 a\u0301 aaaab 42\n\n  x", true);
  const auto rendered = tokenizer.encode_rendered("<s>[INST] hi ﬁ ＡＢ [/INST]");
  ids.insert(ids.end(), rendered.begin(), rendered.end());
  ids.insert(ids.end(), {-1, 0, 1, 2, 255, 1 << 30});
  tokenizer.decode(ids);
  tokenizer.decode(ids, true);
}

struct Counts {
  int64_t cases = 0, refused = 0;
};

int64_t peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * int64_t{1024};
}

// Runs one case; false, said on standard error, when it is a finding.
bool run_case(const Directory& files, const fs::path& directory, Counts& counts) {
  const auto begin = Clock::now();
  ++counts.cases;
  remove_tree(directory);
  fs::create_directories(directory);
  for (const auto& [name, content] : files) std::ofstream(directory / name, std::ios::binary) << content;
  try {
    use(directory);
  } catch (const Error& error) {
    ++counts.refused;
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
    for (const auto& [name, content] : point) contents.push_back(content);
  Counts counts;
  const auto begin = Clock::now();
  for (uint64_t round = 0; std::chrono::duration<double>(Clock::now() - begin).count() < seconds; ++round) {
    RandomStream random(seed, "fuzz", {round});
    Directory files = points[random.below(points.size())];
    auto file = std::next(files.begin(), static_cast<int64_t>(random.below(files.size())));
    file->second = mutate(file->second, contents, random);
    if (run_case(files, directory, counts)) continue;
    std::fprintf(stderr, "seed %llu, round %llu; the files are in %s\n",
                 static_cast<unsigned long long>(seed), static_cast<unsigned long long>(round),
                 directory.c_str());
    return 1;
  }
  remove_tree(directory);
  std::printf("%lld cases, %lld refused, peak memory %lld MB\n", static_cast<long long>(counts.cases),
              static_cast<long long>(counts.refused), static_cast<long long>(peak_memory() >> 20));
  return counts.refused > 0 && counts.refused < counts.cases ? 0 : 1;
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
