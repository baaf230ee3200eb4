// Labels: the verdict from votes, lines and their faults, what training reads, tasks files.
#include "dmoerm/data/capability_labels.h"

#include <gmock/gmock.h>

#include "dmoerm/core/error.h"
#include "dmoerm/core/file.h"
#include "dmoerm/data/task_points.h"
#include "dmoerm/label/labeller.h"

namespace dmoerm::data {
namespace {

using enum Vote;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::string verdict(std::vector<Vote> ab, std::vector<Vote> ba) {
  CapabilityLabel label;
  label.ab = std::move(ab);
  label.ba = std::move(ba);
  decide(label);
  return label.kept() ? (*label.a_wins ? "a" : "b") : label.reason;
}

TEST(Decide, BothOrdersMustNameTheSameAnswer) {
  EXPECT_EQ(verdict({A}, {A}), "a");
  EXPECT_EQ(verdict({B}, {B}), "b");
  EXPECT_EQ(verdict({A}, {B}), "disagree");
  EXPECT_EQ(verdict({A}, {Tie}), "tie");
  EXPECT_EQ(verdict({Tie}, {Unparsed}), "unparsed");
  EXPECT_EQ(verdict({A}, {Unparsed}), "unparsed");
  EXPECT_EQ(verdict({A}, {Failed}), "failed");
  EXPECT_EQ(verdict({}, {}), "failed");
}

TEST(Decide, TheMajorityOfAnOrderCounts) {
  EXPECT_EQ(verdict({A, B, A}, {A, A, Unparsed}), "a");
  EXPECT_EQ(verdict({A, B}, {A, A}), "tie");
  EXPECT_EQ(verdict({A, A, Failed}, {A, A, A}), "failed");
  EXPECT_EQ(verdict({Unparsed, Tie, B}, {B, B, B}), "b");
}

CapabilityLabel label_of(const PreferenceRecord& record, const std::string& point, bool a_wins) {
  CapabilityLabel label;
  label.id = record.id;
  label.task = record.task;
  label.point = point;
  label.judge = "j";
  label.b = 1;
  label.hash = answers_hash_text(record);
  label.ab = label.ba = {a_wins ? A : B};
  decide(label);
  return label;
}

PreferenceRecord record_named(const std::string& id) {
  PreferenceRecord record;
  record.id = id;
  record.task = "t";
  record.messages = {{"user", "q"}};
  record.responses = {{{"assistant", "x"}}, {{"assistant", "y"}}};
  return record;
}

TEST(CapabilityLabels, ALaterLineReplacesAnEarlierOne) {
  const PreferenceRecord record = record_named("r");
  const CapabilityLabel labels[] = {label_of(record, "p", true), label_of(record, "q", true),
                                    label_of(record, "p", false)};
  const auto read = CapabilityLabels::from_labels(labels);
  EXPECT_EQ(read.num_labels(), 2);
  ASSERT_EQ(read.edges(record).size(), 2);
  EXPECT_EQ(read.edges(record)[0].winner, 1);
  EXPECT_EQ(read.edges(record)[1].winner, 0);
  EXPECT_TRUE(read.edges(record_named("other")).empty());
  EXPECT_TRUE(read.points("no such task").empty());
}

TEST(CapabilityLabels, LinesRoundTrip) {
  CapabilityLabel label = label_of(record_named("r\xE2\x82\xAC"), "p", true);
  label.ab = {A, Tie};
  label.ba = {B, Unparsed};
  decide(label);
  const CapabilityLabel read = label_from_json(to_json(label), "here");
  EXPECT_EQ(to_json(read), to_json(label));
  EXPECT_EQ(read.reason, "disagree");
}

TEST(CapabilityLabels, BadLinesAreNamed) {
  const auto line = [](const std::string& key, const Json& value) {
    Json json = to_json(label_of(record_named("r"), "p", true));
    if (value == "erase")
      json.erase(key);
    else
      json[key] = value;
    return json;
  };
  const auto refuses = [](const Json& json, const std::string& text) {
    EXPECT_THAT([&] { label_from_json(json, "f:3"); }, ThrowsMessage<Error>(HasSubstr("[f:3] " + text)));
  };
  refuses(Json::array(), "a label is a list");
  refuses(line("id", "erase"), "\"id\" is missing");
  refuses(line("hash", 3), "\"hash\" is a whole number");
  refuses(line("a", -1), "\"a\" is -1");
  refuses(line("a", 1), "\"a\" is 1 and \"b\" is 1");
  refuses(line("b", 1e300), "\"b\" is a fraction");
  refuses(line("winner", "erase"), "\"winner\" is missing");
  refuses(line("winner", "c"), "\"winner\" is \"c\"");
  refuses(line("votes", 1), "\"votes\" is a whole number");
  refuses(line("votes", Json{{"ab", {"x"}}, {"ba", Json::array()}}), "a vote is \"x\"");
}

TEST(CapabilityLabels, ALabelOfAnAnswerThatDoesNotExistIsRefused) {
  const PreferenceRecord record = record_named("r");
  CapabilityLabel label = label_of(record, "p", false);
  label.b = 2;
  const auto labels = CapabilityLabels::from_labels(std::vector{label});
  EXPECT_THAT([&] { labels.edges(record); },
              ThrowsMessage<Error>(HasSubstr("names answer 2, found 2 answers")));
}

class TaskPointsTest : public ::testing::Test {
 protected:
  std::vector<TaskPoints> load(const std::string& text) {
    const fs::path path = fs::path(::testing::TempDir()) / "dmoerm_tasks.toml";
    write_file_atomically(path, text);
    return load_task_points(path);
  }
};

TEST_F(TaskPointsTest, Reads) {
  const auto tasks = load(
      "[[task]]\nname = \"a\"\npoints = [\"p\", \"q\"]\naliases = [\"b\", \"c\"]\n"
      "[[task]]\nname = \"*\"\npoints = \"p\"\n");
  EXPECT_EQ(find_task(tasks, "a")->points.size(), 2);
  EXPECT_EQ(find_task(tasks, "c")->name, "a");
  EXPECT_EQ(find_task(tasks, "anything")->name, "*");
  EXPECT_EQ(find_task(paper_tasks(), "anything"), nullptr);
  EXPECT_EQ(find_task(paper_tasks(), "obj_qa")->points[0], "correctness");
}

TEST_F(TaskPointsTest, RefusesWhatMakesNoSense) {
  const auto refuses = [&](const std::string& text, const std::string& message) {
    EXPECT_THAT([&] { load(text); }, ThrowsMessage<Error>(HasSubstr(message)));
  };
  refuses("", "has no [[task]]");
  refuses("[[task]]\nname = \"a\"\n", "task[0].points is missing or empty");
  refuses("[[task]]\nname = \"a\"\npoints = [\"p\", \"p\"]\n", "every point once");
  refuses("[[task]]\nname = \"a\"\npoint = [\"p\"]\n", "points is missing");
  refuses("[[task]]\nname = \"a\"\npoints = [\"p\"]\n[[task]]\nname = \"a\"\npoints = [\"p\"]\n",
          "no other task has");
  refuses("[[task]]\nname = \"a\"\npoints = [\"p\"]\naliases = [\"a\"]\n", "no other task has");
}

TEST(PairsToJudge, AllPairsOfDifferentAnswers) {
  PreferenceRecord record = record_named("r");
  record.responses = {{{"assistant", "x"}}, {{"assistant", "y"}}, {{"assistant", "x"}}, {{"assistant", "z"}}};
  record.ranks = {1, 1, 2, 3};
  using Pairs = std::vector<std::pair<int32_t, int32_t>>;
  EXPECT_EQ(label::pairs_to_judge(record, {}), (Pairs{{0, 1}, {0, 3}, {1, 2}, {1, 3}, {2, 3}}));
  EXPECT_EQ(label::pairs_to_judge(record, {.drop_rank_ties = true}), (Pairs{{0, 3}, {1, 2}, {1, 3}, {2, 3}}));
  const Pairs some = label::pairs_to_judge(record, {.max_pairs = 2, .seed = 5});
  EXPECT_EQ(some.size(), 2);
  EXPECT_EQ(some, label::pairs_to_judge(record, {.max_pairs = 2, .seed = 5}));
  record.responses.resize(1);
  EXPECT_TRUE(label::pairs_to_judge(record, {}).empty());
}

}  // namespace
}  // namespace dmoerm::data
