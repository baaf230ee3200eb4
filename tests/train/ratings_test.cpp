// Absolute ratings from pairwise labels: means, missing ones, merged records, equal answers.
#include "dmoerm/train/ratings.h"

#include "tests/train/train_fixture.h"

namespace dmoerm::train {
namespace {

data::PreferenceRecord record_of(const std::string& id, std::vector<std::vector<int32_t>> answers) {
  data::PreferenceRecord record;
  record.id = id;
  record.task = "t";
  record.is_ids = true;
  record.prompt_ids = {1, 2};
  record.response_ids = std::move(answers);
  return record;
}

data::CapabilityLabel label_of(const data::PreferenceRecord& record, const std::string& point, int32_t winner,
                               int32_t loser, bool kept = true) {
  data::CapabilityLabel label;
  label.id = record.id;
  label.task = record.task;
  label.point = point;
  label.judge = "j";
  label.a = std::min(winner, loser);
  label.b = std::max(winner, loser);
  label.hash = data::answers_hash_text(record);
  label.ab = {winner < loser ? data::Vote::A : data::Vote::B};
  label.ba = {kept ? label.ab[0] : data::Vote::Tie};
  decide(label);
  return label;
}

class AbsoluteRatings : public TrainTest {
 protected:
  void expect_ratings(const std::vector<data::PreferenceRecord>& records,
                      const std::vector<data::CapabilityLabel>& labels,
                      const std::vector<std::vector<double>>& expected) {
    const data::GroupStore store = make_store(records);
    const Tensor rating_RP = absolute_ratings(
        store, all_groups(store), data::CapabilityLabels::from_labels(labels), {"style", "logic"});
    ASSERT_EQ(rating_RP.size(0), std::ssize(expected));
    ASSERT_EQ(rating_RP.size(1), 2);
    for (int64_t r = 0; r < rating_RP.size(0); ++r)
      for (int64_t p = 0; p < 2; ++p) {
        const double rating = rating_RP[r][p].item<double>();
        if (std::isnan(expected[r][p]))
          EXPECT_TRUE(std::isnan(rating)) << r << " " << p;
        else
          EXPECT_NEAR(rating, expected[r][p], 1e-12) << r << " " << p;
      }
  }
};

TEST_F(AbsoluteRatings, AreTheMeanOfWonAndLost) {
  const auto record = record_of("r", {{3}, {4}, {5}, {6}});
  expect_ratings({record},
                 {label_of(record, "logic", 0, 1), label_of(record, "logic", 2, 0),
                  label_of(record, "logic", 0, 3), label_of(record, "logic", 1, 3, false),
                  label_of(record, "style", 3, 2), label_of(record, "depth", 0, 1)},  // no objective
                 {{NAN, 1.0 / 3}, {NAN, -1}, {-1, 1}, {1, -1}});
}

TEST_F(AbsoluteRatings, OfRecordsOfOnePromptAddUp) {
  const auto first = record_of("first", {{3}, {4}}), second = record_of("second", {{4}, {5}, {5}});
  auto other = record_of("other", {{3}, {4}});
  other.prompt_ids = {9};
  expect_ratings(
      {first, other, second},
      {label_of(first, "style", 0, 1), label_of(second, "style", 0, 1), label_of(second, "style", 0, 2),
       label_of(second, "style", 1, 2)},  // 1 and 2 are one sequence
      {{1, NAN}, {1.0 / 3, NAN}, {-1, NAN}, {NAN, NAN}, {NAN, NAN}});
}

TEST_F(AbsoluteRatings, WithoutGroupsOrLabels) {
  const auto record = record_of("r", {{3}, {4}});
  expect_ratings({record}, {}, {{NAN, NAN}, {NAN, NAN}});
  const data::GroupStore store = make_store({record}, "more");
  EXPECT_EQ(absolute_ratings(store, {}, data::CapabilityLabels::from_labels({}), {"logic"}).sizes(),
            torch::IntArrayRef({0, 1}));
  auto other = record;
  other.response_ids[0] = {7};
  const std::vector stale = {label_of(other, "logic", 0, 1)};
  EXPECT_THROW(absolute_ratings(store, {0}, data::CapabilityLabels::from_labels(stale), {"logic"}), Error);
}

}  // namespace
}  // namespace dmoerm::train
