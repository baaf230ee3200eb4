// Every form of a verdict, and what is none.
#include "dmoerm/label/verdict_text.h"

#include <gmock/gmock.h>

namespace dmoerm::label {
namespace {

using ::testing::HasSubstr;

TEST(VerdictText, TakesThePapersForm) {
  for (const char* answer :
       {"1", "1.", "Reply 1 is better than reply 2.", "  \n1\n", "\u56de\u590d1\u66f4\u597d", "**1**",
        "\uff11\u66f4\u597d\uff0c2\u8f83\u5dee", "Reply one? No: 1, not 2"})
    EXPECT_EQ(parse_verdict(answer).choice, Choice::First) << answer;
  for (const char* answer : {"2", "Reply 2. 1 is worse.", "\u56de\u590d2", "the second: 2", "\uff12"})
    EXPECT_EQ(parse_verdict(answer).choice, Choice::Second) << answer;
}

TEST(VerdictText, TakesJson) {
  EXPECT_EQ(parse_verdict(R"({"winner": 1})").choice, Choice::First);
  EXPECT_EQ(parse_verdict(R"({"reason": "1 is dull", "winner": "2"})").choice, Choice::Second);
  EXPECT_EQ(parse_verdict("```json\n{\"winner\": \"B\"}\n```").choice, Choice::Second);
  EXPECT_EQ(parse_verdict(R"(Of 2 replies: {"winner": "a"})").choice, Choice::First);
  EXPECT_EQ(parse_verdict(R"({"winner": "tie"})").choice, Choice::Tie);
  const Verdict odd = parse_verdict(R"({"winner": "both 1 and 2"})");
  EXPECT_EQ(odd.choice, Choice::Unparsed);
  EXPECT_THAT(odd.text, HasSubstr("\"winner\" is \"both 1 and 2\", expected 1, 2 or \"tie\""));
  EXPECT_EQ(parse_verdict(R"({"better": 2})").choice, Choice::Second);  // no "winner": the first digit counts
}

TEST(VerdictText, TakesBrackets) {
  EXPECT_EQ(parse_verdict("I compare 2 replies. [[A]]").choice, Choice::First);
  EXPECT_EQ(parse_verdict("Not [[A]] but [[B]].").choice, Choice::Second);
  EXPECT_EQ(parse_verdict("[[C]]").choice, Choice::Tie);
  EXPECT_EQ(parse_verdict("[[tie]]").choice, Choice::Tie);
  EXPECT_EQ(parse_verdict("[[2]] beats 1").choice, Choice::Second);
  EXPECT_EQ(parse_verdict("[[x]] 1").choice, Choice::First);
}

TEST(VerdictText, TakesAWord) {
  EXPECT_EQ(parse_verdict("A").choice, Choice::First);
  EXPECT_EQ(parse_verdict("B.").choice, Choice::Second);
  EXPECT_EQ(parse_verdict("Tie!").choice, Choice::Tie);
  EXPECT_EQ(parse_verdict("\u5e73\u5c40").choice, Choice::Tie);
}

TEST(VerdictText, PassesOverThinking) {
  EXPECT_EQ(parse_verdict("<think>1 or 2? 1.</think>\n\n2").choice, Choice::Second);
  const Verdict cut = parse_verdict("<think>Let me see, 1");
  EXPECT_EQ(cut.choice, Choice::Unparsed);
  EXPECT_THAT(cut.text, HasSubstr("inside <think>"));
}

// The chat templates of some models open the thought themselves.
TEST(VerdictText, PassesOverThinkingWithoutItsBeginning) {
  EXPECT_EQ(parse_verdict("1 is short, so 2?\n</think>\n\n2").choice, Choice::Second);
  EXPECT_EQ(parse_verdict("<think>1</think> or 1 </think>2").choice, Choice::Second);
  EXPECT_THAT(parse_verdict("1</think>\n").text, HasSubstr("empty"));
  EXPECT_THAT(parse_verdict("1</think> <think>2").text, HasSubstr("inside <think>"));
}

TEST(VerdictText, TrustsOnlyALeadingDigitOfWhatWasCut) {
  for (const char* answer : {"Reply 1 is vague, but", "Of the 2 replies", "{\"reason\": \"1 is", "[[x]] 1"})
    EXPECT_EQ(parse_verdict(answer, true).choice, Choice::Unparsed) << answer;
  for (const char* answer :
       {"2", " 2. Reply 1 is", "**2** is", "\uff12\u66f4", "{\"winner\": 2} 1", "Of 1 and 2: [[B]]", "B"})
    EXPECT_EQ(parse_verdict(answer, true).choice, Choice::Second) << answer;
}

TEST(VerdictText, SaysWhyThereIsNone) {
  EXPECT_THAT(parse_verdict("").text, HasSubstr("empty"));
  EXPECT_THAT(parse_verdict(" \n").text, HasSubstr("empty"));
  const Verdict none = parse_verdict("Both are fine,\nI think.");
  EXPECT_EQ(none.choice, Choice::Unparsed);
  EXPECT_THAT(none.text, HasSubstr("names no reply: \"Both are fine, I think.\""));
  std::string endless;
  for (int i = 0; i < 100000; ++i) endless += "\u4e2d";
  EXPECT_LT(parse_verdict(endless).text.size(), 300u);
  EXPECT_EQ(parse_verdict("\xff\xfe").choice, Choice::Unparsed);
  EXPECT_EQ(parse_verdict("{\"winner\": {\"winner\": [1").choice,
            Choice::First);  // broken JSON: the first digit
  EXPECT_EQ(parse_verdict("[[[[").choice, Choice::Unparsed);
  const std::string deep = "{\"winner\": " + std::string(1000000, '[') + std::string(1000000, ']') + "}";
  EXPECT_EQ(parse_verdict(deep).choice, Choice::Unparsed);
}

}  // namespace
}  // namespace dmoerm::label
