// The label store: nothing answered is asked again, whenever the program was killed.
#include "dmoerm/label/label_store.h"
#include "dmoerm/core/file.h"

#include <gmock/gmock.h>

#include <fstream>

#include "dmoerm/core/error.h"
#include "dmoerm/data/capability_labels.h"
#include "dmoerm/label/labeller.h"

namespace dmoerm::label {
namespace {

using data::PreferenceRecord;
using data::Vote;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

struct Killed {};

// The longer answer wins in point "length", nothing does in "luck"; counts its calls and can die.
class TestJudge : public ComputingJudge {
 public:
  std::string name() const override { return "test"; }
  void check_point(const std::string&) const override {}
  Verdict judge(const Question& question) const override {
    if (calls == dies_after) throw Killed();
    ++calls;
    if (fails && question.point == "length") return {Choice::Failed, "no connection"};
    if (question.point == "luck") return {Choice::First, "1 \xE2\x80\xA8 \"quoted\"\n"};
    const auto size = [&](size_t i) { return data::response_text(question.record.responses[i]).size(); };
    return {size(question.first) > size(question.second) ? Choice::First : Choice::Second, ""};
  }
  mutable int calls = 0;
  int dies_after = -1;
  bool fails = false;
};

std::vector<PreferenceRecord> two_records() {
  std::vector<PreferenceRecord> records(2);
  for (size_t i = 0; i < 2; ++i) {
    records[i].id = i == 0 ? "one" : "tw\xC3\xB6";
    records[i].task = "t";
    records[i].messages = {{"user", "q"}};
    records[i].responses = {{{"assistant", "a"}}, {{"assistant", "bbb"}}, {{"assistant", "cc"}}};
    records[i].ranks = {3, 1, 2};
  }
  return records;
}

const std::vector<data::TaskPoints> kTasks = {{"t", {"length", "luck"}}};
constexpr int kCalls = 2 * 3 * 2 * 2;  // records, pairs, points, orders

class LabelStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::path(::testing::TempDir()) / "dmoerm_label_store";
    remove_tree(directory_);
    path_ = directory_ / "labels.jsonl";
  }
  void TearDown() override { remove_tree(directory_); }

  LabelSummary run(Judge&& judge, const std::vector<PreferenceRecord>& records = two_records()) {
    return run(judge, records);
  }
  LabelSummary run(Judge& judge, const std::vector<PreferenceRecord>& records = two_records()) {
    LabelStore store(path_, options_);
    size_t at = 0;
    return label_records(
        [&](PreferenceRecord& record) {
          if (at == records.size()) return false;
          record = records[at++];
          return true;
        },
        kTasks, judge, store);
  }

  static void write(const fs::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
  }

  fs::path directory_, path_;
  StoreOptions options_;
};

TEST_F(LabelStoreTest, WritesOneLineForEachLabel) {
  TestJudge judge;
  const LabelSummary summary = run(judge);
  EXPECT_EQ(judge.calls, kCalls);
  EXPECT_EQ(summary.total.labels, 12);
  EXPECT_EQ(summary.total.kept, 6);
  EXPECT_EQ(summary.total.reasons.at("disagree"), 6);
  EXPECT_EQ(summary.total.agreeing, 6);  // the longer answer is ranked better
  EXPECT_EQ(summary.total.first, 6 + 12);
  LineReader reader(path_);
  std::string line;
  ASSERT_TRUE(reader.next(line));
  const std::string hash = data::answers_hash_text(two_records()[0]);
  EXPECT_EQ(Json::parse(line), Json::parse(R"({"id": "one", "task": "t", "point": "length", "a": 0, "b": 1,
    "winner": "b", "votes": {"ab": ["b"], "ba": ["b"]}, "judge": "test", "hash": ")" +
                                           hash + "\"}"));
  ASSERT_TRUE(reader.next(line));
  EXPECT_EQ(Json::parse(line)["reason"], "disagree");
  EXPECT_EQ(Json::parse(line)["votes"], Json::parse(R"({"ab": ["a"], "ba": ["b"]})"));

  const auto labels = data::CapabilityLabels::load({path_});
  const auto edges = labels.edges(two_records()[1]);
  ASSERT_EQ(edges.size(), 3);
  for (const data::CapabilityEdge& edge : edges) EXPECT_EQ(labels.point_names()[edge.point], "length");
  EXPECT_EQ(labels.points("t"), (std::vector<std::string>{"length", "luck"}));
}

TEST_F(LabelStoreTest, ResumesAfterAKillAtAnyCall) {
  run(TestJudge());
  const std::string expected = read_file(path_);
  for (int killed_at = 0; killed_at <= kCalls; ++killed_at) {
    remove_tree(directory_);
    TestJudge first, second;
    first.dies_after = killed_at;
    if (killed_at < kCalls) {
      EXPECT_THROW(run(first), Killed);
    } else {
      run(first);
    }
    run(second);
    EXPECT_EQ(first.calls + second.calls, kCalls);
    EXPECT_EQ(read_file(path_), expected);
  }
}

TEST_F(LabelStoreTest, ResumesFromFilesCutAtAnyByte) {
  run(TestJudge());
  const fs::path calls = directory_ / "labels.calls";
  const std::string all_labels = read_file(path_), all_calls = read_file(calls);
  for (size_t size = 0; size <= all_calls.size(); size += 23) {  // killed while a call was written
    write(calls, all_calls.substr(0, size));
    write(path_, "");
    TestJudge judge;
    run(judge);
    EXPECT_EQ(judge.calls, kCalls - std::ranges::count(all_calls.substr(0, size), '\n'));
    EXPECT_EQ(read_file(path_), all_labels);
    EXPECT_EQ(std::ranges::count(read_file(calls), '\n'), kCalls);
  }
  for (size_t size = 0; size <= all_labels.size(); size += 23) {  // while a label was written
    write(path_, all_labels.substr(0, size));
    TestJudge judge;
    run(judge);
    EXPECT_EQ(judge.calls, 0);
    EXPECT_EQ(read_file(path_), all_labels);
  }
}

TEST_F(LabelStoreTest, AsksFailedCallsAgainWhenTold) {
  TestJudge failing;
  failing.fails = true;
  const LabelSummary failed = run(failing);
  EXPECT_EQ(failed.total.reasons.at("failed"), 6);
  EXPECT_EQ(failed.failed_calls, kCalls / 2);
  EXPECT_THAT(read_file(directory_ / "labels.calls"), HasSubstr("no connection"));
  TestJudge working;
  EXPECT_EQ(run(working).total.reasons.at("failed"), 6);
  EXPECT_EQ(working.calls, 0);
  options_.retry_failed = true;
  EXPECT_EQ(run(working).total.kept, 6);
  EXPECT_EQ(working.calls, kCalls / 2);
  const std::string text = read_file(path_);
  EXPECT_EQ(std::ranges::count(text, '\n'), 12);  // the new line replaces the failed one
  EXPECT_EQ(text.find("failed"), std::string::npos);
  EXPECT_EQ(run(working).calls, 0);
}

TEST_F(LabelStoreTest, PassesOverARecordThatStandsTwice) {
  auto records = two_records();
  records.push_back(records[0]);
  TestJudge judge;
  EXPECT_EQ(run(judge, records).repeated_records, 1);
  EXPECT_EQ(judge.calls, kCalls);
  records[2].responses[0][0].content = "changed";
  EXPECT_THAT([&] { run(TestJudge(), records); }, ThrowsMessage<Error>(HasSubstr("have the id one")));
}

TEST_F(LabelStoreTest, RefusesAnIdThatStandsForTwoPrompts) {
  auto records = two_records();
  records.push_back(records[0]);
  records[2].messages[0].content = "another question";
  EXPECT_THAT([&] { run(TestJudge(), records); },
              ThrowsMessage<Error>(HasSubstr("two records with different prompts have the id one")));
}

TEST_F(LabelStoreTest, CountsTokensOfCallsThatStayOpen) {
  data::CapabilityLabel label;
  label.id = "one", label.point = "length", label.judge = "test", label.a = 0, label.b = 1;
  {
    LabelStore store(path_);
    store.add_spent(label, Order::AB, 0, {});
    EXPECT_EQ(read_file(directory_ / "labels.calls"), "");
    store.add_spent(label, Order::AB, 0, {5, 2});
    EXPECT_EQ(store.tokens("test").prompt, 5);
  }
  LabelStore store(path_);
  EXPECT_EQ(store.tokens("test").prompt, 5);
  EXPECT_EQ(store.tokens("test").completion, 2);
  EXPECT_EQ(store.answered(label, Order::AB, 0), std::nullopt);
}

TEST_F(LabelStoreTest, ReadsWithoutTouchingAnything) {
  const auto unasked = [&] {
    LabelStore store(path_, {.read_only = true});
    return store.num_labels();
  };
  EXPECT_EQ(unasked(), 0);
  EXPECT_FALSE(fs::exists(directory_));
  run(TestJudge());
  write(path_, read_file(path_) + "{\"id\": \"unfin");
  const LabelStore writer(path_ = directory_ / "other.jsonl");  // a held store can still be read
  path_ = directory_ / "labels.jsonl";
  EXPECT_EQ(unasked(), 12);
  EXPECT_THAT(read_file(path_), HasSubstr("unfin"));
}

TEST_F(LabelStoreTest, RefusesChangedAnswers) {
  run(TestJudge());
  auto records = two_records();
  records[1].responses[0][0].content = "changed";
  EXPECT_THAT([&] { run(TestJudge(), records); },
              ThrowsMessage<Error>(HasSubstr("labelled with other answers")));
  const auto labels = data::CapabilityLabels::load({path_});
  EXPECT_EQ(labels.edges(records[0]).size(), 3);
  EXPECT_THAT([&] { labels.edges(records[1]); }, ThrowsMessage<Error>(HasSubstr("made for other answers")));
}

TEST_F(LabelStoreTest, IsHeldByOneProcess) {
  const LabelStore store(path_);
  EXPECT_THAT([&] { LabelStore other(path_); }, ThrowsMessage<Error>(HasSubstr("held by another process")));
}

TEST_F(LabelStoreTest, NamesADamagedLine) {
  run(TestJudge());
  write(path_, read_file(path_) + "{\"id\": 3}\n");
  EXPECT_THAT([&] { run(TestJudge()); },
              ThrowsMessage<Error>(HasSubstr("labels.jsonl:13] \"id\" is a whole number")));
  EXPECT_THAT([] { LabelStore store("labels.json"); },
              ThrowsMessage<Error>(HasSubstr("must end with .jsonl")));
}

}  // namespace
}  // namespace dmoerm::label
