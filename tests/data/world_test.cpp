// The synthetic world: its qualities against values counted by hand, and what docs/world.md promises of its
// data.
#include "dmoerm/data/world.h"

#include <gmock/gmock.h>

#include <cmath>
#include <functional>

#include "dmoerm/core/error.h"
#include "dmoerm/core/file.h"
#include "dmoerm/data/reader.h"
#include "dmoerm/data/world_files.h"
#include "dmoerm/data/world_words.h"

namespace dmoerm::data {
namespace {

const std::string kPrompt =
    "i feel sad . you are a pilot . please chat about river and tower in funny words :";

double quality(const std::string& point, const std::string& answer) {
  return World::quality(point, kPrompt, answer);
}

// With no conflict the tasks agree about any two answers, but for the scale; with all of it they do not.
TEST(World, ConflictSetsTasksApart) {
  const auto agreement = [](double conflict) {
    const World world({.seed = 3, .conflict = conflict});
    double agreeing = 0, pairs = 0;
    for (uint64_t i = 0; i < 200; ++i) {
      const std::string prompt = world.make_prompt(0, "test", i);
      const std::string a = world.make_answer(prompt, "test", i, 0),
                        b = world.make_answer(prompt, "test", i, 1);
      for (size_t task = 1; task < 5; ++task) {
        const double own = world.gold(0, prompt, a) - world.gold(0, prompt, b);
        const double other = world.gold(task, prompt, a) - world.gold(task, prompt, b);
        if (own == 0 || other == 0) continue;
        agreeing += own * other > 0;
        pairs += 1;
      }
    }
    return agreeing / pairs;
  };
  EXPECT_EQ(agreement(0), 1);
  EXPECT_LT(agreement(1), 0.65);
  EXPECT_GT(agreement(0.5), agreement(1));
}

TEST(World, ExactListsCarryTheirGold) {
  const World world({.seed = 3});
  const PreferenceRecord exact = world.exact_list(2, "test", 5), human = world.human_list(2, "test", 5);
  ASSERT_EQ(exact.gold.size(), exact.num_answers());
  EXPECT_EQ(exact.gold[1], world.gold(2, exact.prompt_text, response_text(exact.responses[1])));
  EXPECT_TRUE(human.gold.empty());
}

TEST(World, QualitiesAreTheCountsOfTheirFormulas) {
  // One matched and one foreign noun, two vivid words, an emotion, a filler, a hedge.
  const std::string answer =
      " wow the river is golden . um the castle is misty . maybe you feel sad . what about you ?";
  EXPECT_DOUBLE_EQ(quality("content_richness", answer), 2 + 0.5 * 2);
  EXPECT_DOUBLE_EQ(quality("breadth_of_knowledge", answer), 2 + 0.5 * 2);
  EXPECT_DOUBLE_EQ(quality("conversational_sense", answer), 1 + 1);
  EXPECT_DOUBLE_EQ(quality("empathy_ability", answer), 1);
  EXPECT_DOUBLE_EQ(quality("proactivity", answer), 1);
  EXPECT_DOUBLE_EQ(quality("emotion_expression", answer), 1);
  EXPECT_DOUBLE_EQ(quality("question_specific", answer), 1 - 0.7 - 0.5);
  EXPECT_DOUBLE_EQ(quality("objectiveness", answer), -3);
  EXPECT_DOUBLE_EQ(quality("expressiveness", answer), 2 - 0.5);
  EXPECT_DOUBLE_EQ(quality("readability", answer), -1 - 0.5);
  EXPECT_DOUBLE_EQ(quality("convincing_ability", answer), -1 - 0.5);
  EXPECT_DOUBLE_EQ(quality("intent_conformity", answer), 0.7 * (1 - 0.7));
  EXPECT_DOUBLE_EQ(quality("correctness", answer), -0.5);

  const std::string other =
      " because critics like it . first fans like it . then critics like it . data prove it .";
  EXPECT_DOUBLE_EQ(quality("logic", other), 2);
  EXPECT_DOUBLE_EQ(quality("viewpoint_richness", other), 2);
  EXPECT_DOUBLE_EQ(quality("depth_of_knowledge", other), 3);
  EXPECT_DOUBLE_EQ(quality("reasoning_ability", other), 1 + 0.5);
  EXPECT_DOUBLE_EQ(quality("conversational_sense", other), -1 - 0.5);

  const std::string role = " as a pilot . as a baker . my dear uncle . in funny words .";
  EXPECT_DOUBLE_EQ(quality("personalized_characteristic_expression", role), 1 - 0.7);
  EXPECT_DOUBLE_EQ(quality("manifestation_of_relationship_traits", role), -0.7);
  EXPECT_DOUBLE_EQ(quality("intent_conformity", role), 1);
  EXPECT_DOUBLE_EQ(quality("character_setting_and_emotional_investment", role), 0.5);
}

TEST(World, AFactIsRightOnlyWhenThePromptStatesIt) {
  const std::string prompt = "the river is red . please state about river and tower :";
  EXPECT_EQ(World::quality("correctness", prompt, " it is red ."), 1);
  EXPECT_EQ(World::quality("correctness", prompt, " it is blue ."), -1);
  EXPECT_EQ(World::quality("correctness", prompt, " the river is fine ."), -0.5);
}

TEST(World, EverythingIsAFunctionOfSeedAndIndex) {
  const World world({.seed = 3}), same({.seed = 3}), other({.seed = 4});
  EXPECT_EQ(world.pretraining_text(7), same.pretraining_text(7));
  EXPECT_NE(world.pretraining_text(7), other.pretraining_text(7));
  EXPECT_NE(world.pretraining_text(7), world.pretraining_text(8));
  const PreferenceRecord x = world.human_list(2, "train", 5), y = same.human_list(2, "train", 5);
  EXPECT_EQ(x.prompt_text, y.prompt_text);
  EXPECT_EQ(x.responses, y.responses);
  EXPECT_EQ(x.ranks, y.ranks);
  EXPECT_NE(x.prompt_text, world.human_list(2, "test", 5).prompt_text);
  EXPECT_EQ(world.gold(1, kPrompt, " wow . um ."),
            other.gold(1, kPrompt, " wow . um ."));  // one gold for all seeds
}

TEST(World, AnyTextIsScored) {
  const World world;
  std::string huge;
  for (int i = 0; i < 100000; ++i) huge += " river golden";
  for (size_t task = 0; task < 5; ++task)
    for (const std::string& answer : {std::string(), std::string(" \xE6\x97\xA5\xE6\x9C\xAC \xff"), huge})
      EXPECT_TRUE(std::isfinite(world.gold(task, answer, answer)));
  EXPECT_THAT([] { World::quality("correctnes", "", ""); },
              ::testing::ThrowsMessage<Error>(::testing::HasSubstr("\"correctnes\" is not one of")));
}

TEST(World, VerdictsInPretrainingTextsAreTrue) {
  const World world;
  int right = 0, wrong = 0;
  for (uint64_t i = 0; i < 200; ++i) {
    const std::string text = world.pretraining_text(i);
    const size_t colon = text.find(':');
    const std::string prompt = text.substr(0, colon), answer = text.substr(colon + 1);
    const auto asked = split_words(prompt), words = split_words(answer);
    for (size_t w = 1; w < words.size(); ++w) {
      const bool matches = std::find(asked.begin(), asked.end(), words[w - 1]) != asked.end();
      right += words[w] == "right";
      wrong += words[w] == "wrong";
      if (words[w] == "right" || words[w] == "wrong") {
        EXPECT_EQ(words[w] == "right", matches) << text;
      }
    }
  }
  EXPECT_GT(right, 150);
  EXPECT_GT(wrong, 100);
}

TEST(World, WritesFilesThatTheReaderReads) {
  const fs::path directory = fs::path(::testing::TempDir()) / "dmoerm_world";
  const World world;
  const WorldFiles files =
      write_world(world, directory, {.train = 3, .validation = 1, .test = 2, .pretraining = 4});
  PreferenceReader reader({files.train});
  PreferenceRecord record;
  for (uint64_t i = 0; i < 3; ++i) {
    for (size_t task = 0; task < 5; ++task) {
      ASSERT_TRUE(reader.next(record));
      const PreferenceRecord expected = world.human_list(task, "train", i);
      EXPECT_EQ(record.id, expected.id);
      EXPECT_EQ(record.task, world.tasks()[task].name);
      EXPECT_EQ(record.prompt_text, expected.prompt_text);
      EXPECT_EQ(record.responses, expected.responses);
      EXPECT_EQ(record.ranks, expected.ranks);
      EXPECT_EQ(answers_hash(record), answers_hash(expected));
    }
  }
  EXPECT_FALSE(reader.next(record));
  EXPECT_EQ(std::ranges::count(read_file(files.pretraining), '\n'), 4);
  EXPECT_EQ(std::ranges::count(read_file(files.test), '\n'), 10);
  remove_tree(directory);
}

}  // namespace
}  // namespace dmoerm::data
