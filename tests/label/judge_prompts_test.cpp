// What the judge is shown.
#include "dmoerm/label/judge_prompts.h"

#include <gmock/gmock.h>

#include "dmoerm/core/error.h"
#include "dmoerm/text/utf8.h"

namespace dmoerm::label {
namespace {

using data::PreferenceRecord;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::ThrowsMessage;

PreferenceRecord record_of(const std::string& first, const std::string& second) {
  PreferenceRecord record;
  record.messages = {{"user", "Why is the sky blue?"}};
  record.responses = {{{"assistant", first}}, {{"assistant", second}}};
  return record;
}

TEST(JudgePrompts, BuiltInOnesCoverThePaper) {
  for (const char* language : {"en", "zh"}) {
    const JudgePrompts prompts = JudgePrompts::builtin(language);
    ASSERT_EQ(prompts.tasks().size(), data::paper_tasks().size());
    size_t definitions = 0;
    for (size_t i = 0; i < prompts.tasks().size(); ++i) {
      const data::TaskPoints &task = prompts.tasks()[i], &paper = data::paper_tasks()[i];
      EXPECT_EQ(task.name, paper.name);
      EXPECT_EQ(task.points, paper.points);
      EXPECT_EQ(task.aliases, paper.aliases);
      EXPECT_EQ(task.titles.size(), task.points.size());
      definitions += task.definitions.size();
      for (const auto& [point, definition] : task.definitions)
        EXPECT_TRUE(text::is_valid_utf8(definition)) << point;
    }
    EXPECT_EQ(definitions, 27u);
  }
  EXPECT_THAT([] { JudgePrompts::builtin("fr"); },
              ThrowsMessage<Error>(HasSubstr("\"fr\", expected en or zh")));
}

TEST(JudgePrompts, ShowQuestionAndRepliesInTheirOrder) {
  const PreferenceRecord record = record_of("Scattering.", "Because {question} is {reply_1}.");
  const JudgePrompts prompts = JudgePrompts::builtin("en");
  const std::string text = prompts.render({record, "logic", 1, 0, 0, "obj_qa"}, 0).text;
  EXPECT_EQ(
      text,
      "Given a question and two replies, judge which of reply 1 and reply 2 is better in respect of logic.\n"
      "This means: its statements follow from one another, in a clear order and without contradiction or "
      "gaps.\n"
      "Judge logic alone, not the replies' quality in other respects, their length or their order. Begin "
      "your "
      "answer with 1 or 2.\n\n[Question]\nWhy is the sky blue?\n\n[Reply 1]\nBecause {question} is "
      "{reply_1}.\n\n"
      "[Reply 2]\nScattering.\n");
  const std::string chinese = JudgePrompts::builtin("zh").render({record, "logic", 0, 1, 0, "text"}, 0).text;
  EXPECT_THAT(chinese,
              HasSubstr("\u56de\u590d1\u548c\u56de\u590d2\u54ea\u4e00\u4e2a\u5728\u903b\u8f91\u6027"));
  EXPECT_THAT(chinese, HasSubstr("Scattering."));
}

TEST(JudgePrompts, ShowsConversationsWhole) {
  PreferenceRecord record = record_of("x", "y");
  record.messages = {{"system", "Be kind."}, {"user", "Hi"}, {"assistant", "Hello"}, {"user", "And now?"}};
  const std::string text = JudgePrompts::builtin("en").render({record, "wit", 0, 1}, 0).text;
  EXPECT_THAT(
      text,
      HasSubstr("[Question]\nSystem:\nBe kind.\n\nUser:\nHi\n\nAssistant:\nHello\n\nUser:\nAnd now?\n"));
  EXPECT_THAT(text, HasSubstr("in respect of wit.\nJudge wit alone"));  // a point without a definition
  EXPECT_THAT(text, Not(HasSubstr("{")));
}

TEST(JudgePrompts, CutsWholeCharacters) {
  const PreferenceRecord record = record_of("\u4e2d\u6587\u56de\u7b54", "ab");
  const JudgePrompts::Message cut = JudgePrompts::builtin("en").render({record, "logic", 0, 1}, 3);
  EXPECT_EQ(cut.num_cut, 1);
  EXPECT_THAT(cut.text, HasSubstr("[Reply 1]\n\u4e2d\u6587\u56de \u2026\n\n[Reply 2]\nab\n"));
  EXPECT_TRUE(text::is_valid_utf8(cut.text));
  EXPECT_EQ(JudgePrompts::builtin("en").render({record, "logic", 0, 1}, 4).num_cut, 0);
}

TEST(JudgePrompts, AreExtendedWithoutCode) {
  const JudgePrompts prompts = JudgePrompts::parse(R"(
language = "zh"
[template]
system = "You judge."
message = "{point}: {definition}? {question} | {reply_1} | {reply_2} {\"winner\": 1}"
[[task]]
name = "jokes"
points = ["wit", "logic"]
[task.titles]
wit = "Witz"
[task.definitions]
wit = "it is funny"
)",
                                                   "t.toml", "");
  const PreferenceRecord record = record_of("p", "q");
  EXPECT_EQ(prompts.system(), "You judge.");
  EXPECT_EQ(prompts.render({record, "wit", 0, 1, 0, "jokes"}, 0).text,
            "Witz: it is funny? Why is the sky blue? | p | q {\"winner\": 1}");
  // A point that the paper has keeps its title and definition, in the file's language.
  EXPECT_THAT(prompts.render({record, "logic", 0, 1, 0, "jokes"}, 0).text,
              HasSubstr("\u903b\u8f91\u6027: \u5373"));
}

TEST(JudgePrompts, RefuseWhatMakesNoSense) {
  const auto refuses = [](const std::string& text, const std::string& message) {
    EXPECT_THAT([&] { JudgePrompts::parse(text + "[[task]]\nname = 'a'\npoints = ['p']\n", "t.toml", ""); },
                ThrowsMessage<Error>(HasSubstr(message)));
  };
  refuses("[template]\nmessage = '{question} {reply_1}'\n", "template.message has no {reply_2}");
  refuses("[template]\nmessage = '{question} {reply_1} {reply_2} {reply_3}'\n",
          "{reply_3} is not one of {point}");
  refuses("[template]\nmesage = 'x'\n", "did you mean \"message\"");
  refuses("language = 'fr'\n", "expected one of en, zh");
  EXPECT_THAT(
      [] {
        data::parse_task_points("[[task]]\nname='a'\npoints=['p']\n[task.definitions]\nq='x'\n", "t.toml");
      },
      ThrowsMessage<Error>(HasSubstr("expected a point of the task")));
}

}  // namespace
}  // namespace dmoerm::label
