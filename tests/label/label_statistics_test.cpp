// What labels are worth, against counts made by hand and closed forms.
#include "dmoerm/label/label_statistics.h"

#include <gmock/gmock.h>

#include "dmoerm/core/random.h"
#include "dmoerm/data/capability_labels.h"
#include "tests/core/temporary_directory.h"

namespace dmoerm::label {
namespace {

using data::CapabilityLabel;
using data::Vote;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class LabelStatisticsTest : public TemporaryDirectoryTest {
 protected:
  void add(const std::string& id, const std::string& point, Vote ab, Vote ba, int32_t b = 1) {
    CapabilityLabel label;
    label.id = id;
    label.task = "t";
    label.point = point;
    label.judge = "j";
    label.b = b;
    label.hash = hash_;
    label.ab = {ab};
    label.ba = {ba};
    decide(label);
    text_ += dump_json(to_json(label)) + "\n";
  }
  LabelStatistics measure(bool with_data = false) {
    write_file_atomically(directory_ / "labels.jsonl", text_);
    StatisticsOptions options;
    options.labels = {directory_ / "labels.jsonl"};
    if (with_data) options.data = {directory_ / "data.jsonl"};
    return label_statistics(options);
  }
  std::string text_, hash_ = "0";
};

TEST_F(LabelStatisticsTest, CountsByHand) {
  add("1", "x", Vote::A, Vote::A);
  add("1", "y", Vote::A, Vote::A);
  add("2", "x", Vote::B, Vote::B);
  add("2", "y", Vote::A, Vote::A);
  add("3", "x", Vote::A, Vote::B);  // says "first" twice
  add("3", "y", Vote::Tie, Vote::A);
  add("4", "x", Vote::A, Vote::A);
  add("4", "y", Vote::A, Vote::A);
  const LabelStatistics statistics = measure();
  ASSERT_EQ(statistics.points.size(), 2u);
  EXPECT_EQ(statistics.points[0].counts.kept, 3);
  EXPECT_EQ(statistics.points[0].counts.first, 1 + 1 + 2 + 1);
  EXPECT_EQ(statistics.points[0].counts.answers, 8);
  EXPECT_EQ(statistics.points[1].counts.reasons.at("tie"), 1);
  ASSERT_EQ(statistics.pairs.size(), 1u);
  EXPECT_EQ(statistics.pairs[0].both, 3);
  EXPECT_EQ(statistics.pairs[0].same, 2);
  EXPECT_NEAR(statistics.pairs[0].correlation(), (1 - 1 + 1) / 3.0, 1e-12);
  EXPECT_EQ(statistics.points[0].nearest, "y");
  EXPECT_THAT(statistics.judges, ElementsAre("j"));
  EXPECT_EQ(statistics.warnings.size(), 2u);  // too few
}

TEST_F(LabelStatisticsTest, ComparesWithRanks) {
  std::string data;
  for (int i = 0; i < 4; ++i) {
    const std::string line = dump_json({{"id", std::to_string(i)},
                                        {"prompt", "q"},
                                        {"responses", {"a", "b"}},
                                        {"ranks", {i == 3 ? 1 : 2, 1}}});
    data += line + "\n";
    hash_ = data::answers_hash_text(data::parse_record(line));
    add(std::to_string(i), "x", i == 0 ? Vote::A : Vote::B, i == 0 ? Vote::A : Vote::B);
  }
  write_file_atomically(directory_ / "data.jsonl", data);
  const LabelCounts counts = measure(true).points[0].counts;
  EXPECT_EQ(counts.ranked, 3);  // the last is a tie of people
  EXPECT_EQ(counts.agreeing, 2);
  const std::string whole = text_;
  add("3", "y", Vote::A, Vote::A, 2);
  EXPECT_THAT(error_of([&] { measure(true); }), HasSubstr("about answer 2, the record has 2"));
  text_ = whole;
  hash_ = "other";
  add("2", "y", Vote::A, Vote::A);
  EXPECT_THAT(error_of([&] { measure(true); }), HasSubstr("made for other answers"));
}

// y repeats x, z is independent of both, coin answers by chance; all else is consistent.
TEST_F(LabelStatisticsTest, WarnsOfPointsThatAddNothing) {
  RandomStream random(1, "test");
  const auto draw = [&] { return random.chance(0.5) ? Vote::A : Vote::B; };
  for (int i = 0; i < 400; ++i) {
    const Vote x = draw(), z = draw();
    add(std::to_string(i), "x", x, x);
    add(std::to_string(i), "y", x, x);
    add(std::to_string(i), "z", z, z);
    const Vote first = draw(), second = draw();
    add(std::to_string(i), "coin", first, second);
  }
  const LabelStatistics statistics = measure();
  EXPECT_THAT(
      statistics.warnings,
      ElementsAre(HasSubstr("t/coin: adds nothing: a coin would keep"),
                  HasSubstr("t/y: adds nothing to x: it names the same reply in 100.0% of 400 pairs")));
  EXPECT_DOUBLE_EQ(statistics.points[0].correlation, 1);
  EXPECT_LT(std::abs(statistics.points[2].correlation), 0.2);
}

TEST_F(LabelStatisticsTest, WarnsOfAJudgeThatFavoursAPlace) {
  for (int i = 0; i < 100; ++i) add(std::to_string(i), "x", Vote::A, i % 2 == 0 ? Vote::A : Vote::B);
  EXPECT_THAT(measure().warnings, ElementsAre(HasSubstr("favours a place: 75.0%")));
}

TEST_F(LabelStatisticsTest, TakesTheLatestLineAndOneJudge) {
  add("1", "x", Vote::Failed, Vote::A);
  add("1", "x", Vote::A, Vote::A);
  EXPECT_EQ(measure().total.labels, 1);
  EXPECT_EQ(measure().total.kept, 1);
  EXPECT_THAT(measure().pairs, IsEmpty());
  StatisticsOptions options;
  options.labels = {directory_ / "labels.jsonl"};
  options.judge = "nobody";
  EXPECT_THAT(error_of([&] { label_statistics(options); }), HasSubstr("no labels of the judge nobody"));
}

}  // namespace
}  // namespace dmoerm::label
