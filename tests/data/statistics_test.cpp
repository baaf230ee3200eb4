// Splits, statistics, and whole-file operations.
#include "dmoerm/data/statistics.h"
#include "dmoerm/core/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <set>

#include "dmoerm/core/error.h"
#include "dmoerm/core/hash.h"
#include "dmoerm/data/rewrite.h"

namespace dmoerm::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class FilesTest : public testing::Test {
 protected:
  FilesTest() {
    directory_ = std::filesystem::path(testing::TempDir()) /
                 ("data_files_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    remove_tree(directory_);
    std::filesystem::create_directories(directory_);
  }
  ~FilesTest() override { remove_tree(directory_); }
  std::filesystem::path write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ / name, std::ios::binary) << text;
    return directory_ / name;
  }
  std::filesystem::path directory_;
};

TEST(Split, SharesAreMetAndSaltsAreIndependent) {
  const PromptSplit split("a", {{"x", 0.6}, {"y", 0.3}, {"z", 0.1}});
  std::vector<int64_t> counts(3, 0);
  int64_t both = 0;
  const int64_t n = 20000;
  for (int64_t i = 0; i < n; ++i) {
    const uint64_t hash = hash64("prompt " + std::to_string(i));
    ++counts[split.part_of(hash)];
    EXPECT_EQ(split.part_of(hash), split.part_of(hash));
    both += split_position(hash, "a") < 0.5 && split_position(hash, "b") < 0.5;
  }
  // Within five standard deviations of a binomial count.
  const auto near = [&](int64_t count, double share) {
    EXPECT_NEAR(count, n * share, 5 * std::sqrt(n * share * (1 - share)));
  };
  near(counts[0], 0.6);
  near(counts[1], 0.3);
  near(counts[2], 0.1);
  near(both, 0.25);
}

TEST(Split, BadSharesAreErrors) {
  EXPECT_THROW(PromptSplit("s", {}), Error);
  EXPECT_THROW(PromptSplit("s", {{"a", 0.5}}), Error);
  EXPECT_THROW(PromptSplit("s", {{"a", 0.5}, {"a", 0.5}}), Error);
  for (const std::string name : {"../a", "/tmp/a", "..", ""})
    EXPECT_THROW(PromptSplit("s", {{name, 1}}), Error) << name;
  EXPECT_THROW(PromptSplit("s", {{"a", -0.5}, {"b", 1.5}}), Error);
  EXPECT_THROW(PromptSplit("s", {{"a", NAN}, {"b", 1}}), Error);
}

TEST_F(FilesTest, StatisticsOfASmallSetCountedByHand) {
  const auto one =
      write("one.jsonl", R"({"task":"t","prompt":"déjà","responses":["long answer","a","a"],"ranks":[1,2,3]})"
                         "\n"
                         R"({"task":"u","prompt":"q","chosen":"x","rejected":"yyy"})"
                         "\n"
                         R"({"task":"u","prompt":"q","chosen":"x","rejected":"yyy"})"
                         "\n");
  const auto two = write("two.jsonl", R"({"prompt":"q","responses":["b","c"],"ranks":[1,1]})"
                                      "\n"
                                      "bad\n"
                                      R"({"prompt":"other","chosen":"ab","rejected":"cd"})"
                                      "\n");
  ReaderOptions options;
  options.skip_bad = true;
  const auto statistics = collect_statistics({one, two}, options);
  EXPECT_THAT(statistics.records_of_file, ElementsAre(3, 2));
  EXPECT_EQ(statistics.bad_lines, 1);
  EXPECT_EQ(statistics.prompts, 3);
  EXPECT_EQ(statistics.duplicate_records, 1);
  EXPECT_EQ(statistics.duplicate_answers, 1);
  EXPECT_EQ(statistics.all.records, 5);
  EXPECT_EQ(statistics.all.answers, 11);
  EXPECT_EQ(statistics.all.pairs, 3 + 2 + 1);
  EXPECT_EQ(statistics.all.ties, 1);
  EXPECT_EQ(statistics.all.longer_is_better, 2 + 0.5 + 0 + 0.5);
  EXPECT_EQ(statistics.tasks.at("t").longer_is_better, 2.5);
  EXPECT_EQ(statistics.tasks.at("u").pairs, 2);
  ASSERT_EQ(statistics.shared.size(), 1u);
  EXPECT_EQ(statistics.shared[0].prompts, 1);
  EXPECT_EQ(statistics.prompt_length.largest, 5);
  EXPECT_EQ(statistics.prompt_length.median, 1);
  EXPECT_NEAR(statistics.prompt_length.mean, (4 + 1 + 1 + 1 + 5) / 5.0, 1e-12);
  EXPECT_EQ(statistics.answer_length.count, 11);
  EXPECT_EQ(statistics.answer_length.largest, 11);
  EXPECT_THAT(to_text(statistics), HasSubstr("1 prompts stand in both"));
  EXPECT_EQ(to_json(statistics)["all"]["pairs"], 6);
}

TEST_F(FilesTest, StatisticsSayThatPromptsAreGuessed) {
  const auto file = write("a.jsonl", R"({"chosen":"The sky is blue.","rejected":"The sky is blonde."}
{"prompt":"The sky","chosen":" is blue.","rejected":" was blue."}
)");
  const DataStatistics statistics = collect_statistics({file}, {});
  EXPECT_EQ(statistics.guessed_prompts, 1);
  EXPECT_THAT(to_text(statistics), HasSubstr("1 records name no prompt"));
  EXPECT_EQ(to_json(statistics)["guessed_prompts"], 1);
}

TEST_F(FilesTest, StatisticsCountTokens) {
  const auto file = write("ids.jsonl", R"({"prompt_ids":[1,2],"response_ids":[[3],[4,5]],"ranks":[1,2]})");
  GroupEncoder encoder(std::nullopt, {});
  const auto statistics = collect_statistics({file}, {}, &encoder);
  EXPECT_EQ(statistics.sequence_tokens.count, 2);
  EXPECT_EQ(statistics.sequence_tokens.largest, 4);
  EXPECT_EQ(to_json(collect_statistics({write("empty.jsonl", "")}, {}))["all"]["longer_is_better"], nullptr);
}

TEST_F(FilesTest, CheckListsEveryProblem) {
  const auto file = write("bad.jsonl",
                          "{}\n"
                          R"({"prompt":"p","chosen":"a","rejected":"b"})"
                          "\n[]\n");
  std::vector<std::string> problems;
  const auto result = check_files({directory_ / "absent.jsonl", file}, {},
                                  [&](const std::string& problem) { problems.push_back(problem); });
  EXPECT_EQ(result.records, 1);
  EXPECT_EQ(result.problems, 3);
  EXPECT_THAT(problems, ElementsAre(HasSubstr("absent.jsonl"), HasSubstr("bad.jsonl:1: unknown format"),
                                    HasSubstr("bad.jsonl:3: the line is a list")));
}

TEST_F(FilesTest, SplitKeepsLinesAndPrompts) {
  std::string lines;
  for (int i = 0; i < 200; ++i)
    lines += fmt::format(R"({{"prompt":"p{}","chosen":"a{}","rejected":"b","extra":1}})"
                         "\n",
                         i % 40, i);
  const auto file = write("all.jsonl", lines);
  const auto records =
      split_files({file}, {}, PromptSplit("s", {{"train", 0.7}, {"dev", 0.3}}), directory_ / "parts");
  EXPECT_EQ(records[0] + records[1], 200);
  std::set<uint64_t> prompts[2];
  std::multiset<std::string> written;
  for (int part : {0, 1}) {
    PreferenceReader reader({directory_ / "parts" / (part == 0 ? "train.jsonl" : "dev.jsonl")});
    PreferenceRecord record;
    int64_t count = 0;
    for (; reader.next(record); ++count) {
      prompts[part].insert(prompt_hash(record));
      written.insert(reader.line());
    }
    EXPECT_EQ(count, records[part]);
    EXPECT_GT(count, 0);
  }
  for (const uint64_t prompt : prompts[0]) EXPECT_EQ(prompts[1].count(prompt), 0u);
  EXPECT_EQ(prompts[0].size() + prompts[1].size(), 40u);
  std::string joined;
  for (size_t begin = 0; begin < lines.size();) {
    const size_t end = lines.find('\n', begin);
    EXPECT_EQ(written.count(lines.substr(begin, end - begin)), 1u);
    begin = end + 1;
  }
  const Json description = load_json(directory_ / "parts" / "split.json");
  EXPECT_EQ(description["salt"], "s");
  EXPECT_EQ(description["parts"][0]["records"], records[0]);
  EXPECT_THROW(split_files({file}, {}, PromptSplit("s", {{"a", 1}}), directory_ / "parts"), Error);
}

TEST_F(FilesTest, ConvertGivesNativeRecordsWithTheSameHashes) {
  const auto file = write(
      "hh.jsonl", R"({"chosen":"\n\nHuman: q\n\nAssistant: a","rejected":"\n\nHuman: q\n\nAssistant: b"})");
  std::string out;
  EXPECT_EQ(convert_files({file}, {}, [&](const std::string& line) { out += line; }), 1);
  const Json row = parse_json(out, "test");
  EXPECT_EQ(row["prompt"], Json::parse(R"([{"role":"user","content":"q"}])"));
  EXPECT_EQ(row["responses"], Json::parse(R"(["a","b"])"));
  EXPECT_EQ(row["ranks"], Json::parse("[1,2]"));
}

// Real sets, where they are at hand: every line is read, and survives conversion.
TEST(RealData, EveryLineIsReadAndConverted) {
  const char* shared = std::getenv("DMOERM_SHARED");
  if (shared == nullptr) GTEST_SKIP() << "set DMOERM_SHARED to the folder that holds data/";
  for (const auto& [name, expected] :
       std::vector<std::pair<std::string, int64_t>>{{"rmb/dev.jsonl.gz", 2101},
                                                    {"rmb/dev.bon.jsonl.gz", 535},
                                                    {"llmbar.jsonl.gz", 419},
                                                    {"hh_harmless_test.jsonl.gz", 2303}}) {
    PreferenceReader reader({std::filesystem::path(shared) / "data" / name});
    PreferenceRecord record;
    int64_t records = 0;
    for (; reader.next(record); ++records) EXPECT_GE(record.num_answers(), 2u);
    EXPECT_EQ(records, expected) << name;
  }
}

}  // namespace
}  // namespace dmoerm::data
