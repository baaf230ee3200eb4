// The measuring judges against values counted by hand.
#include "dmoerm/label/measures.h"

#include <gmock/gmock.h>

#include <cmath>

#include "dmoerm/core/error.h"
#include "dmoerm/label/measuring_judge.h"

namespace dmoerm::label {
namespace {

double measure(const std::string& name, const std::string& answer, const std::string& question = "") {
  const Measure* found = find_measure(name);
  EXPECT_NE(found, nullptr) << name;
  return found->value(TextStatistics(question), TextStatistics(answer));
}

TEST(TextStatistics, Counts) {
  const TextStatistics text(
      "# Plan\n1. Ask Anna for 1,250 coins!\n2) Pay 3.5 now?\n- **Stop** it. And the Moon...\n```\nx\n```");
  EXPECT_THAT(text.words,
              ::testing::ElementsAre("plan", "1", "ask", "anna", "for", "1", "250", "coins", "2", "pay", "3",
                                     "5", "now", "stop", "it", "and", "the", "moon", "x"));
  EXPECT_THAT(text.numbers, ::testing::ElementsAre("1", "1250", "2", "3.5"));
  EXPECT_EQ(text.questions, 1);
  EXPECT_EQ(text.exclamations, 1);
  EXPECT_EQ(text.list_items, 3);
  EXPECT_EQ(text.ordered_items, 2);
  EXPECT_EQ(text.headings, 1);
  EXPECT_EQ(text.bold, 1);
  EXPECT_EQ(text.code_fences, 2);
  EXPECT_EQ(text.names, 2);  // Anna, Moon
}

TEST(TextStatistics, EmptyAndStrangeTexts) {
  for (const std::string& text : {std::string(), std::string("..."), std::string("\xff\xfe\x00", 3),
                                  std::string("\xE6\x97\xA5\xE6\x9C\xAC"), std::string(1 << 20, 'a'),
                                  std::string(1 << 20, '.'), std::string("\n\n\n"), std::string("12 7")}) {
    const TextStatistics statistics(text);
    for (const Measure& row : measures())
      EXPECT_TRUE(std::isfinite(row.value(statistics, statistics))) << row.name;
  }
}

TEST(Measures, LexicalRichnessDoesNotGrowWithLength) {
  EXPECT_DOUBLE_EQ(measure("lexical_richness", "one two two"), 2.0 / 50);
  std::string cycle;
  for (int i = 0; i < 200; ++i) cycle += "w" + std::to_string(i % 25) + " ";
  EXPECT_DOUBLE_EQ(measure("lexical_richness", cycle), 0.5);  // every window of 50 holds 25 words
  EXPECT_DOUBLE_EQ(measure("lexical_richness", cycle + cycle), 0.5);
}

TEST(Measures, Formulas) {
  // 4 words of 14 letters in 2 sentences.
  EXPECT_NEAR(measure("readability", "Cats sleep. Dogs run."), 21.43 - 4.71 * 16 / 4 - 0.5 * 4 / 2, 1e-12);
  // Question: {fast, trains, paris}; answer: {trains, paris, slow, old}.
  EXPECT_NEAR(
      measure("question_overlap", "The trains to Paris are slow and old.", "How fast are trains to Paris?"),
      2 / std::sqrt(12.0), 1e-12);
  EXPECT_DOUBLE_EQ(measure("numeric_agreement", "1200 in 3 days", "1,200 of 7?"), 0.5);
  EXPECT_DOUBLE_EQ(measure("numeric_agreement", "5", "no number"), 0);
  EXPECT_DOUBLE_EQ(measure("positivity", "good good bad day"), (2.0 - 1) / (3 + 3));
  EXPECT_DOUBLE_EQ(measure("emotion", "good bad day!"), 100.0);
  EXPECT_DOUBLE_EQ(measure("objectivity", "good bad day!"), -100.0);
  EXPECT_DOUBLE_EQ(measure("coherence", "It rains, therefore we stay"), 20);
  EXPECT_DOUBLE_EQ(measure("reasoning", "1. because\n2. x"), 100.0 * (1 + 4) / 4);
  EXPECT_DOUBLE_EQ(measure("structure", "# one\n- two"), 100.0 * (2 + 1) / 2);
  EXPECT_DOUBLE_EQ(measure("novelty", "a b c a b c"), 3.0 / 4);
  EXPECT_DOUBLE_EQ(measure("conciseness", "a b c"), -std::log(4.0));
  EXPECT_DOUBLE_EQ(measure("thoroughness", "A. B. C"), std::log(4.0));
  EXPECT_DOUBLE_EQ(measure("certainty", "maybe it is so"), -25);
  EXPECT_DOUBLE_EQ(measure("empathy", "I understand your feelings well"), 40);
  EXPECT_DOUBLE_EQ(measure("courtesy", "thank you"), 50);
  EXPECT_DOUBLE_EQ(measure("proactivity", "Really? Let me know. Would you like more?"), 4);
  EXPECT_DOUBLE_EQ(measure("caution", "this is illegal now"), 25);
  EXPECT_DOUBLE_EQ(measure("specificity", "We met Anna twice internationally"), 100 * 1.5 / 5);
  EXPECT_DOUBLE_EQ(measure("refusal", "I'm sorry, but no."), 1);
  EXPECT_DOUBLE_EQ(measure("compliance", "I'm sorry, but no."), 0);
  EXPECT_DOUBLE_EQ(measure("refusal", std::string(300, 'x') + " I cannot"), 0);
}

TEST(MeasuringJudge, NamesTheReplyWithTheLargerMeasure) {
  data::PreferenceRecord record;
  record.messages = {{"user", "How fast are trains to Paris?"}};
  record.responses = {{{"assistant", "Trains to Paris are fast."}},
                      {{"assistant", "No idea."}},
                      {{"assistant", "Nothing at all."}}};
  const MeasuringJudge judge;
  EXPECT_EQ(judge.judge({record, "question_overlap", 0, 1}).choice, Choice::First);
  EXPECT_EQ(judge.judge({record, "question_overlap", 1, 0}).choice, Choice::Second);
  EXPECT_EQ(judge.judge({record, "question_overlap", 1, 2}).choice, Choice::Tie);
  EXPECT_TRUE(judge.tied({record, "question_overlap", 1, 2}));
  EXPECT_THAT(
      [&] { judge.check_point("wit"); },
      ::testing::ThrowsMessage<Error>(::testing::HasSubstr("no measure \"wit\", it has lexical_richness")));
}

}  // namespace
}  // namespace dmoerm::label
