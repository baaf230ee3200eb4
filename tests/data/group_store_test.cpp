// The cache of tokenised groups: what goes in comes out; damage and stale caches are noticed.
#include "dmoerm/data/group_store.h"
#include "dmoerm/core/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "dmoerm/core/error.h"

namespace dmoerm::data {
namespace {

using testing::ElementsAre;

class GroupStoreTest : public testing::Test {
 protected:
  GroupStoreTest() : encoder_(std::nullopt, EncodeOptions{"plain", 8, TooLong::Truncate}) {
    directory_ =
        std::filesystem::path(testing::TempDir()) /
        ("group_store_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    remove_tree(directory_);
    path_ = directory_ / "cache.groups";
  }
  ~GroupStoreTest() override { remove_tree(directory_); }

  // 5 prompts, the records of prompt p in tasks "even" and "odd" by p's parity, two records each.
  GroupStore build(uint64_t key = 1) {
    int64_t next = 0;
    return GroupStore::build(path_, key, encoder_, [&](PreferenceRecord& record) {
      if (next == 10) return false;
      const auto prompt = static_cast<int32_t>(next % 5), round = static_cast<int32_t>(next / 5);
      record = {};
      record.id = fmt::format("é{}", next);
      record.task = prompt % 2 == 0 ? "even" : "odd";
      record.is_ids = true;
      record.prompt_ids = {prompt, 100};
      record.response_ids = {{7}, {8 + round, 9}, {1, 2, 3, 4, 5, 6, 7, 8, 9}};
      record.ranks = {1, 2, 2};
      ++next;
      ++reads_;
      return true;
    });
  }
  std::string bytes() const { return read_file(path_); }
  void overwrite(const std::string& bytes) const { std::ofstream(path_, std::ios::binary) << bytes; }

  GroupEncoder encoder_;
  std::filesystem::path directory_, path_;
  int64_t reads_ = 0;
};

TEST_F(GroupStoreTest, MergesRecordsOfAPromptInFirstSeenOrder) {
  const auto store = build();
  ASSERT_EQ(store.size(), 5);
  for (int32_t p = 0; p < 5; ++p) {
    const PromptGroup group = store.get(p);
    EXPECT_EQ(store.task(p), p % 2 == 0 ? "even" : "odd");
    EXPECT_EQ(group.task, store.task(p));
    EXPECT_EQ(group.prompt_hash, store.prompt_hash(p));
    EXPECT_EQ(static_cast<int64_t>(group.num_tokens()), store.num_tokens(p));
    EXPECT_THAT(
        group.sequences,
        ElementsAre(std::vector<int32_t>{p, 100, 7}, std::vector<int32_t>{p, 100, 8, 9},
                    std::vector<int32_t>{1, 2, 3, 4, 5, 6, 7, 9}, std::vector<int32_t>{p, 100, 9, 9}));
    ASSERT_EQ(group.records.size(), 2u);
    EXPECT_EQ(group.records[1].id, fmt::format("é{}", p + 5));
    EXPECT_THAT(group.records[1].sequence_of_answer, ElementsAre(0, 3, 2));
    EXPECT_EQ(group.edges.size(), 4u);
  }
  EXPECT_EQ(store.counts().answers_cut, 10);
  EXPECT_EQ(store.counts().sequences, 30);
  // Nothing but the cache is left.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory_), {}), 1);
}

TEST_F(GroupStoreTest, RecordsWithoutAPromptAreNoGroup) {
  int32_t next = 0;
  const auto store = GroupStore::build(path_, 1, encoder_, [&](PreferenceRecord& record) {
    if (next == 4) return false;
    record = {};
    record.is_ids = true;
    record.response_ids = {{next / 2, 7}, {8}};  // two answers twice
    record.ranks = {1, 2};
    ++next;
    return true;
  });
  ASSERT_EQ(store.size(), 2);
  EXPECT_NE(store.prompt_hash(0), store.prompt_hash(1));
  EXPECT_EQ(store.get(0).records.size(), 2u);
}

TEST_F(GroupStoreTest, IsReusedForTheSameKeyOnly) {
  const auto first = build(1).fingerprint();
  EXPECT_EQ(reads_, 10);
  const auto again = build(1);
  EXPECT_EQ(reads_, 10);
  EXPECT_EQ(again.fingerprint(), first);
  EXPECT_EQ(again.counts().answers_cut, 10);  // known without reading
  build(2);
  EXPECT_EQ(reads_, 20);
}

TEST_F(GroupStoreTest, DamageIsNoticedAndMended) {
  build();
  const std::string good = bytes();
  for (size_t size = 0; size < good.size(); size += 61) {  // truncated anywhere
    overwrite(good.substr(0, size));
    EXPECT_THROW(GroupStore::open(path_), Error) << size;
  }
  for (size_t place = 0; place < good.size(); place += 37) {  // a flipped bit anywhere
    std::string bad = good;
    bad[place] = static_cast<char>(bad[place] ^ 4);
    overwrite(bad);
    const auto read_all = [&] {
      const auto store = GroupStore::open(path_);
      for (int64_t i = 0; i < store.size(); ++i) store.get(i);
    };
    EXPECT_THROW(read_all(), Error) << place;
  }
  overwrite(good.substr(0, 100));
  reads_ = 0;
  EXPECT_EQ(build().size(), 5);
  EXPECT_EQ(reads_, 10);
  EXPECT_EQ(bytes(), good);
}

TEST_F(GroupStoreTest, EmptyAndMissing) {
  const auto store = GroupStore::build(path_, 1, encoder_, [](PreferenceRecord&) { return false; });
  EXPECT_EQ(store.size(), 0);
  EXPECT_THROW(GroupStore::open(directory_ / "absent"), Error);
}

TEST_F(GroupStoreTest, FailedBuildLeavesNothing) {
  EXPECT_THROW(GroupStore::build(path_, 1, encoder_, [](PreferenceRecord&) -> bool { fail("test", "stop"); }),
               Error);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(GroupStoreTest, KeyFollowsDataAndOptions) {
  std::filesystem::create_directories(directory_);
  const auto a = directory_ / "a", b = directory_ / "b";
  std::ofstream(a) << "one";
  std::ofstream(b) << "two";
  const auto key = cache_key({a, b}, {}, encoder_);
  EXPECT_EQ(cache_key({a, b}, {}, encoder_), key);
  EXPECT_NE(cache_key({b, a}, {}, encoder_), key);
  EXPECT_NE(cache_key({a}, {}, encoder_), key);
  EXPECT_NE(cache_key({a, b}, {}, GroupEncoder(std::nullopt, {"plain", 9, TooLong::Truncate})), key);
  ReaderOptions turn;
  turn.text_as_turn = true;
  EXPECT_NE(cache_key({a, b}, turn, encoder_), key);
  std::ofstream(b) << "twO";
  EXPECT_NE(cache_key({a, b}, {}, encoder_), key);
}

}  // namespace
}  // namespace dmoerm::data
