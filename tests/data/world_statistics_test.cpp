// What docs/world.md promises of the world's data, measured with linear fits.
#include <gtest/gtest.h>

#include <functional>

#include "dmoerm/core/compat.h"
#include "dmoerm/data/world.h"
#include "dmoerm/data/world_words.h"

namespace dmoerm::data {
namespace {

constexpr int kLists = 250;
using Features =
    std::function<std::vector<double>(size_t task, const std::string& prompt, const std::string& answer)>;

// Differences of features over the pairs of a task's lists, the better answer first.
struct Pairs {
  Tensor x_PF;      // [pairs, features] float64
  Tensor margin_P;  // [pairs] difference of gold
};

class WorldStatistics : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    world_ = new World();
    for (size_t task = 0; task < 5; ++task) {
      for (int i = 0; i < kLists; ++i) {
        human_[task].push_back(world_->human_list(task, "train", i));
        exact_[task].push_back(world_->exact_list(task, "test", i));
      }
    }
  }
  static void TearDownTestSuite() { delete world_; }

  static Pairs pairs_of(size_t task, const std::vector<PreferenceRecord>& lists, const Features& features) {
    std::vector<Tensor> rows;
    std::vector<double> margins;
    for (const PreferenceRecord& list : lists) {
      std::vector<Tensor> x;
      std::vector<double> gold;
      for (const Response& response : list.responses) {
        const std::string answer = response[0].content;
        x.push_back(torch::tensor(features(task, list.prompt_text, answer), torch::kFloat64));
        gold.push_back(world_->gold(task, list.prompt_text, answer));
      }
      for (size_t a = 0; a < x.size(); ++a)
        for (size_t b = 0; b < x.size(); ++b)
          if (list.ranks[a] < list.ranks[b])
            rows.push_back(x[a] - x[b]), margins.push_back(gold[a] - gold[b]);
    }
    return {torch::stack(rows), torch::tensor(margins, torch::kFloat64)};
  }

  // Weights of the least-squares fit of `target_P`, with a little ridge.
  static Tensor fit(const Tensor& x_PF, const Tensor& target_P) {
    const Tensor gram = x_PF.t().mm(x_PF) + 1e-3 * x_PF.size(0) * torch::eye(x_PF.size(1), torch::kFloat64);
    return torch::linalg_solve(gram, x_PF.t().mv(target_P));
  }

  static double accuracy(const Tensor& x_PF, const Tensor& weights) {
    const Tensor score = x_PF.mv(weights);
    return (score > 1e-9).to(torch::kFloat64).mean().item<double>() +
           0.5 * (score.abs() <= 1e-9).to(torch::kFloat64).mean().item<double>();
  }

  // Fits on human ranks (targets 1), tests on exact ones; one fit for all tasks, or one for each.
  static double probe(const Features& features, bool pooled) {
    std::vector<Tensor> x;
    for (size_t task = 0; task < 5; ++task) x.push_back(pairs_of(task, human_[task], features).x_PF);
    const auto weights_of = [](const Tensor& x_PF) {
      return fit(x_PF, torch::ones({x_PF.size(0)}, torch::kFloat64));
    };
    const Tensor shared = weights_of(torch::cat(x));
    double sum = 0;
    for (size_t task = 0; task < 5; ++task)
      sum += accuracy(pairs_of(task, exact_[task], features).x_PF, pooled ? shared : weights_of(x[task]));
    return sum / 5;
  }

  static World* world_;
  static std::vector<PreferenceRecord> human_[5], exact_[5];
};

World* WorldStatistics::world_ = nullptr;
std::vector<PreferenceRecord> WorldStatistics::human_[5], WorldStatistics::exact_[5];

std::vector<double> word_counts(size_t, const std::string& prompt, const std::string& answer) {
  const AnswerCounts counts = count_words(prompt, answer);
  std::vector<double> x(counts.all.begin(), counts.all.end());
  x.insert(x.end(), counts.matched.begin(), counts.matched.end());
  return x;
}

TEST_F(WorldStatistics, PeopleAgreeWithGoldOn60To75Percent) {
  for (size_t task = 0; task < 5; ++task) {
    const Pairs pairs = pairs_of(task, human_[task], word_counts);
    const double agreement = (pairs.margin_P > 0).to(torch::kFloat64).mean().item<double>();
    EXPECT_GT(agreement, 0.64) << world_->tasks()[task].name;  // 0.69 expected; 1500 pairs
    EXPECT_LT(agreement, 0.74) << world_->tasks()[task].name;
  }
}

TEST_F(WorldStatistics, CapabilitiesAndGoldAreStandardised) {
  for (size_t task = 0; task < 5; ++task) {
    std::vector<Tensor> rows;
    for (const PreferenceRecord& list : exact_[task]) {
      for (const Response& response : list.responses) {
        std::vector<double> row = world_->capabilities(task, list.prompt_text, response[0].content);
        row.push_back(world_->gold(task, list.prompt_text, response[0].content));
        rows.push_back(torch::tensor(row, torch::kFloat64));
      }
    }
    const Tensor x = torch::stack(rows);
    EXPECT_LT(x.mean(0).abs().max().item<double>(), 0.15);  // 1000 answers: 0.03 is one deviation
    EXPECT_LT((x.std(0) - 1).abs().max().item<double>(), 0.15);
  }
}

TEST_F(WorldStatistics, TrueCapabilitiesExplainMoreThan90PercentOfPairs) {
  const Features capabilities = [](size_t task, const std::string& prompt, const std::string& answer) {
    return world_->capabilities(task, prompt, answer);
  };
  for (size_t task = 0; task < 5; ++task) {
    std::vector<PreferenceRecord> lists;
    for (int i = 0; i < kLists; ++i) lists.push_back(world_->exact_list(task, "ceiling", i));
    const Pairs train = pairs_of(task, lists, capabilities);
    const double ceiling =
        accuracy(pairs_of(task, exact_[task], capabilities).x_PF, fit(train.x_PF, train.margin_P));
    EXPECT_GT(ceiling, 0.90) << world_->tasks()[task].name;
    EXPECT_LT(ceiling, 0.985) << world_->tasks()[task].name;  // gold is not linear
  }
}

TEST_F(WorldStatistics, LengthGivesNothingAway) {
  const Features length = [](size_t, const std::string&, const std::string& answer) {
    return std::vector<double>{static_cast<double>(split_words(answer).size())};
  };
  for (size_t task = 0; task < 5; ++task) {
    const double longer =
        accuracy(pairs_of(task, exact_[task], length).x_PF, torch::ones({1}, torch::kFloat64));
    EXPECT_GT(longer, 0.43) << world_->tasks()[task].name;
    EXPECT_LT(longer, 0.57) << world_->tasks()[task].name;
  }
}

// The disturbance: the same counts, weighed once for all tasks, or for each task.
TEST_F(WorldStatistics, OneLinearModelForAllTasksIsDisturbed) {
  EXPECT_LT(probe(word_counts, true), 0.70);
  EXPECT_GT(probe(word_counts, false), 0.86);
}

TEST_F(WorldStatistics, TextsAreShort) {
  double words = 0, longest = 0, count = 0;
  for (const auto& lists : exact_) {
    for (const PreferenceRecord& list : lists) {
      for (const Response& response : list.responses) {
        const double own = split_words(list.prompt_text).size() + split_words(response[0].content).size();
        words += own, ++count, longest = std::max(longest, own);
      }
    }
  }
  EXPECT_GT(words / count, 30);
  EXPECT_LT(words / count, 45);
  EXPECT_LT(longest, 70);
}

TEST_F(WorldStatistics, TasksAreToldByVerbsThatOverlapALittle) {
  int shared = 0, distracted = 0, total = 0;
  for (size_t task = 0; task < 5; ++task) {
    for (const PreferenceRecord& list : human_[task]) {
      const auto words = split_words(list.prompt_text);
      const auto please = std::find(words.begin(), words.end(), "please");
      ASSERT_TRUE(please != words.end() && please + 1 != words.end());
      const auto& own = cue_words(task);
      shared += std::find(own.begin(), own.end(), *(please + 1)) == own.end();
      distracted += list.prompt_text.find("do not ") != std::string::npos;
      ++total;
    }
  }
  EXPECT_NEAR(static_cast<double>(shared) / total, world_->options().shared_cue, 0.02);
  EXPECT_NEAR(static_cast<double>(distracted) / total, world_->options().distractor, 0.03);
}

}  // namespace
}  // namespace dmoerm::data
