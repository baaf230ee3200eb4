// Every format that the reader knows, and every kind of bad record.
#include "dmoerm/data/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <map>

#include "dmoerm/data/record_format.h"

namespace dmoerm::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> answers(const PreferenceRecord& record) {
  std::vector<std::string> texts;
  for (const Response& response : record.responses) texts.push_back(response_text(response));
  return texts;
}

std::string reason(const std::string& line, const ReaderOptions& options = {}) {
  try {
    parse_record(line, options);
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    EXPECT_LT(std::string(error.what()).size(), 1000u);
    return error.what();
  }
  return "(no error)";
}

std::filesystem::path temporary(const std::string& name, const std::string& bytes) {
  const auto path = std::filesystem::path(testing::TempDir()) / name;
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

TEST(Formats, NativeText) {
  const auto record = parse_record(
      R"({"id": 7, "task": "chat", "prompt": "Hé", "responses": [" a", "b", "c"], "ranks": [2, 1, 2], "extra": {}})");
  EXPECT_EQ(record.id, "7");
  EXPECT_EQ(record.task, "chat");
  EXPECT_TRUE(record.is_text);
  EXPECT_EQ(record.prompt_text, "Hé");
  EXPECT_THAT(answers(record), ElementsAre(" a", "b", "c"));
  EXPECT_THAT(record.ranks, ElementsAre(2, 1, 2));
}

TEST(Formats, NativeTextAsTurn) {
  ReaderOptions options;
  options.text_as_turn = true;
  const auto record = parse_record(R"({"prompt": "Hi", "responses": ["a"], "ranks": [1]})", options);
  EXPECT_FALSE(record.is_text);
  EXPECT_THAT(record.messages, ElementsAre(Message{"user", "Hi"}));
}

TEST(Formats, NativeMessagesAndLongerAnswers) {
  const auto record = parse_record(
      R"({"prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}], "ranks": [1, 2],
          "responses": ["a", [{"role": "assistant", "content": "b"}, {"role": "user", "content": "more"},
                              {"role": "assistant", "content": "c"}]]})");
  EXPECT_THAT(record.messages, ElementsAre(Message{"system", "s"}, Message{"user", "u"}));
  EXPECT_THAT(answers(record), ElementsAre("a", "b\nc"));
  EXPECT_EQ(record.responses[1].size(), 3u);
}

TEST(Formats, PairsWithExplicitText) {
  const auto record =
      parse_record(R"({"prompt":"The sky is","chosen":" blue.","rejected":" green.","margin":0.5})");
  EXPECT_EQ(record.prompt_text, "The sky is");
  EXPECT_THAT(answers(record), ElementsAre(" blue.", " green."));
  EXPECT_THAT(record.ranks, ElementsAre(1, 2));
  EXPECT_EQ(record.margin, 0.5);
}

TEST(Formats, PairsWithImplicitText) {
  const auto record = parse_record(R"({"chosen":"The sky is blue.","rejected":"The sky is blonde."})");
  EXPECT_TRUE(record.is_text);
  EXPECT_EQ(record.prompt_text, "The sky is");
  EXPECT_THAT(answers(record), ElementsAre(" blue.", " blonde."));
  // One text may be the beginning of the other, and both may be equal: each keeps an answer.
  EXPECT_TRUE(record.prompt_guessed);
  EXPECT_FALSE(parse_record(R"({"prompt":"The sky","chosen":" is","rejected":" was"})").prompt_guessed);
  const auto prefix = parse_record(R"({"chosen":"The sky is","rejected":"The sky is blue."})");
  EXPECT_THAT(answers(prefix), ElementsAre(" is", " is blue."));
  EXPECT_THAT(answers(parse_record(R"({"chosen":"ab","rejected":"ab"})")), ElementsAre("ab", "ab"));
  // A character of several bytes is never cut.
  EXPECT_EQ(parse_record(R"({"chosen":"é","rejected":"è"})").prompt_text, "");
}

TEST(Formats, PairsWithMessages) {
  const auto record = parse_record(
      R"({"prompt":[{"role":"user","content":"Hi"}],"chosen":[{"role":"assistant","content":"a"}],
          "rejected":[{"role":"assistant","content":"b"}],"system":"Be kind."})");
  EXPECT_THAT(record.messages, ElementsAre(Message{"system", "Be kind."}, Message{"user", "Hi"}));
  EXPECT_THAT(answers(record), ElementsAre("a", "b"));
}

TEST(Formats, PairsWithImplicitMessages) {
  const std::string turns = R"({"role":"user","content":"Hi"},{"role":"assistant","content":)";
  const auto record = parse_record(R"({"chosen":[)" + turns + R"("a"}],"rejected":[)" + turns + R"("b"}]})");
  EXPECT_THAT(record.messages, ElementsAre(Message{"user", "Hi"}));
  EXPECT_THAT(answers(record), ElementsAre("a", "b"));
  // The prompt's text beside whole conversations, as some published sets have it.
  const auto repeated =
      parse_record(R"({"prompt":"Hi","chosen":[)" + turns + R"("a"}],"rejected":[)" + turns + R"("b"}]})");
  EXPECT_THAT(repeated.messages, ElementsAre(Message{"user", "Hi"}));
  EXPECT_THAT(answers(repeated), ElementsAre("a", "b"));
}

TEST(Formats, PairsKeepAPromptThatAnswersDoNotRepeat) {
  const std::string prompt = R"({"prompt":[{"role":"system","content":"s"},{"role":"user","content":"q"}],)";
  const std::string more = R"({"role":"user","content":"q"},{"role":"assistant","content":)";
  const auto apart =
      parse_record(prompt + R"("chosen":[)" + more + R"("a"}],"rejected":[)" + more + R"("b"}]})");
  EXPECT_THAT(apart.messages, ElementsAre(Message{"system", "s"}, Message{"user", "q"}));
  EXPECT_THAT(apart.responses[0], ElementsAre(Message{"user", "q"}, Message{"assistant", "a"}));
  const std::string whole = R"({"role":"system","content":"s"},)" + more;
  const auto repeated =
      parse_record(prompt + R"("chosen":[)" + whole + R"("a"}],"rejected":[)" + whole + R"("b"}]})");
  EXPECT_THAT(repeated.messages, ElementsAre(Message{"system", "s"}, Message{"user", "q"}));
  EXPECT_THAT(answers(repeated), ElementsAre("a", "b"));
  EXPECT_EQ(repeated.responses[0].size(), 1u);
}

TEST(Formats, ConversationsThatPartAtAUserTurn) {
  const auto record = parse_record(
      R"({"chosen":[{"role":"user","content":"q"},{"role":"assistant","content":"a"},{"role":"user","content":"x"},
                    {"role":"assistant","content":"b"}],
          "rejected":[{"role":"user","content":"q"},{"role":"assistant","content":"a"},{"role":"user","content":"y"},
                      {"role":"assistant","content":"c"}]})");
  EXPECT_THAT(record.messages, ElementsAre(Message{"user", "q"}));
  EXPECT_EQ(record.responses[0].size(), 3u);
}

TEST(Formats, Transcripts) {
  const auto record = parse_record(
      R"({"chosen":"\n\nHuman: Hi: you\n\nAssistant: Hello\n\nHuman: Well?\n\nAssistant: Good. ",
          "rejected":"\n\nHuman: Hi: you\n\nAssistant: Hello\n\nHuman: Well?\n\nAssistant: Bad."})");
  EXPECT_THAT(record.messages, ElementsAre(Message{"user", "Hi: you"}, Message{"assistant", "Hello"},
                                           Message{"user", "Well?"}));
  EXPECT_THAT(answers(record), ElementsAre("Good.", "Bad."));
}

TEST(Formats, RankedLists) {
  const auto record = parse_record(
      R"({"label":"闲聊","src":["你好","再见"],"tgt":["好"],"response":["a","b","c"],"rank":[3,1,1]})");
  EXPECT_EQ(record.task, "闲聊");
  EXPECT_THAT(record.messages,
              ElementsAre(Message{"user", "你好"}, Message{"assistant", "好"}, Message{"user", "再见"}));
  EXPECT_THAT(answers(record), ElementsAre("a", "b", "c"));
  EXPECT_THAT(record.ranks, ElementsAre(3, 1, 1));
}

TEST(Formats, RewardBenchRows) {
  const auto one = parse_record(R"({"id":3,"prompt":"Q","chosen":"a","rejected":"b","subset":"hep-cpp"})");
  EXPECT_EQ(one.id, "3");
  EXPECT_EQ(one.task, "hep-cpp");
  EXPECT_THAT(one.messages, ElementsAre(Message{"user", "Q"}));
  const auto two = parse_record(
      R"({"id":"9","prompt":"Q","chosen":["a","b"],"rejected":["c","d"],"num_correct":2,"subset":"Ties"})");
  EXPECT_THAT(two.messages, ElementsAre(Message{"user", "Q"}));
  EXPECT_THAT(two.ranks, ElementsAre(1, 1, 2, 2));
}

TEST(Formats, BestOfN) {
  const auto list = parse_record(
      R"({"bon_uid":5,"category_path":"Chat/x","conversation_input":[{"role":"user","content":"Q"}],
          "bon_best":{"llm_name":"m","answer":"a"},"loser_list":[{"answer":"b"},{"answer":"c"}]})");
  EXPECT_EQ(list.id, "5");
  EXPECT_EQ(list.task, "Chat/x");
  EXPECT_THAT(answers(list), ElementsAre("a", "b", "c"));
  EXPECT_THAT(list.ranks, ElementsAre(1, 2, 2));
  const auto pair = parse_record(
      R"({"pair_uid":6,"conversation_input":[{"role":"user","content":"Q"}],"chosen":{"answer":"a"},
          "reject":{"answer":"b"}})");
  EXPECT_THAT(answers(pair), ElementsAre("a", "b"));
}

TEST(Formats, TokenIds) {
  ReaderOptions scoring;
  scoring.require_ranks = false;
  const auto lists =
      parse_record(R"({"prompt_ids":[1,2],"response_ids":[[3],[4,5],[]],"gold":[5,1,0.5]})", scoring);
  EXPECT_THAT(lists.gold, ElementsAre(5, 1, 0.5));
  EXPECT_TRUE(lists.is_ids);
  EXPECT_THAT(lists.prompt_ids, ElementsAre(1, 2));
  EXPECT_EQ(lists.num_answers(), 3u);
  const auto pair = parse_record(R"({"chosen_ids":[1,2,3],"rejected_ids":[1,2,4,5]})");
  EXPECT_THAT(pair.prompt_ids, ElementsAre(1, 2));
  EXPECT_THAT(pair.response_ids[1], ElementsAre(4, 5));
  const auto equal = parse_record(R"({"chosen_ids":[1,2],"rejected_ids":[1,2]})");
  EXPECT_THAT(equal.response_ids[0], ElementsAre(2));
}

TEST(Formats, TheExampleHoldsALineOfEach) {
  LineReader lines(DMOERM_TEST_DATA "/../../examples/data/formats.jsonl");
  std::map<std::string, int> seen;
  for (std::string line; lines.next(line);) {
    parse_record(line);
    const Json row = Json::parse(line);
    for (const RecordFormat& format : record_formats()) {
      if (!format.matches(row)) continue;
      ++seen[format.name];
      break;
    }
  }
  for (const RecordFormat& format : record_formats()) EXPECT_GT(seen[format.name], 0) << format.name;
}

TEST(Formats, EveryRecordSurvivesTheNativeForm) {
  for (
      const std::string line :
      {R"({"id":"x","task":"t","prompt":"p","responses":["a","b\n"],"ranks":[1,2],"gold":[0.5,-1.25]})",
       R"({"id":"x","task":"t","prompt":"p","responses":["a","b\n"],"ranks":[1,2],"margin":0.1})",
       R"({"chosen":[{"role":"user","content":"q"},{"role":"assistant","content":"a"},{"role":"user","content":"x"},
               {"role":"assistant","content":"b"}],"rejected":[{"role":"user","content":"q"},{"role":"assistant","content":"c"}]})",
       R"({"prompt_ids":[1],"response_ids":[[2],[3]],"ranks":[1,1]})"}) {
    const auto record = parse_record(line), again = parse_record(to_native(record));
    EXPECT_EQ(record.id, again.id);
    EXPECT_EQ(record.task, again.task);
    EXPECT_EQ(record.messages, again.messages);
    EXPECT_EQ(record.is_text, again.is_text);
    EXPECT_EQ(record.is_ids, again.is_ids);
    EXPECT_EQ(record.responses, again.responses);
    EXPECT_EQ(record.gold, again.gold);
    EXPECT_EQ(record.response_ids, again.response_ids);
    EXPECT_EQ(record.ranks, again.ranks);
    EXPECT_EQ(record.margin, again.margin);
    EXPECT_EQ(prompt_hash(record), prompt_hash(again));
    EXPECT_EQ(answers_hash(record), answers_hash(again));
  }
}

TEST(BadRecords, EachIsNamed) {
  const auto native = [](const std::string& rest) {
    return R"({"prompt":"p","responses":["a","b"],)" + rest + "}";
  };
  EXPECT_THAT(reason(R"({"prompt":)"), HasSubstr("not valid JSON"));
  EXPECT_THAT(reason(""), HasSubstr("not valid JSON"));
  EXPECT_THAT(reason("[1]"), HasSubstr("the line is a list, expected one JSON object a line"));
  EXPECT_THAT(reason("{}"), HasSubstr("found the keys (none)"));
  EXPECT_THAT(reason(R"({"question":"q","ans\nwer":"a"})"), HasSubstr(R"("ans\nwer", "question")"));
  EXPECT_THAT(reason(native(R"("ranks":[1])")), HasSubstr("1 ranks, expected 2"));
  EXPECT_THAT(reason(native(R"("ranks":[1,2,3])")), HasSubstr("3 ranks, expected 2"));
  EXPECT_THAT(reason(native(R"("id":"x")")), HasSubstr("\"ranks\" is missing"));
  EXPECT_THAT(reason(native(R"("ranks":"12")")), HasSubstr("\"ranks\" is a string"));
  EXPECT_THAT(reason(native(R"("ranks":[1,"2"])")), HasSubstr("holds a string"));
  EXPECT_THAT(reason(native(R"("ranks":[1,1.5])")), HasSubstr("holds a fraction"));
  EXPECT_THAT(reason(native(R"("ranks":[1,18446744073709551615])")), HasSubstr("18446744073709551615"));
  EXPECT_THAT(reason(native(R"("ranks":[1,2],"task":[])")), HasSubstr("\"task\" is a list"));
  EXPECT_THAT(reason(native(R"("ranks":[1,2],"gold":[1])")), HasSubstr("\"gold\" has 1 numbers"));
  EXPECT_THAT(reason(native(R"("ranks":[1,2],"gold":[1,"x"])")), HasSubstr("\"gold\" holds a string"));
  EXPECT_THAT(reason(native(R"("ranks":[1,2],"gold":3)")), HasSubstr("\"gold\" is a whole number"));
  EXPECT_THAT(reason(native(R"("ranks":[1,2],"margin":NaN)")), HasSubstr("not valid JSON"));
  EXPECT_THAT(reason(native(R"("ranks":[1,2],"margin":"NaN")")), HasSubstr("\"margin\" is a string"));
  EXPECT_THAT(reason(native(R"("ranks":[1,2],"margin":1e999)")), HasSubstr("not valid JSON"));
  EXPECT_THAT(reason(R"({"prompt":"p","responses":[],"ranks":[]})"), HasSubstr("no responses"));
  EXPECT_THAT(reason(R"({"prompt":"p","responses":"a","ranks":[1]})"),
              HasSubstr("\"responses\" is a string"));
  EXPECT_THAT(reason(R"({"prompt":"p","responses":["a",3],"ranks":[1,2]})"), HasSubstr("\"responses\"[1]"));
  EXPECT_THAT(reason(R"({"prompt":"p","responses":["a",""],"ranks":[1,2]})"),
              HasSubstr("response 1 is empty"));
  EXPECT_THAT(reason(R"({"responses":["a"],"ranks":[1]})"), HasSubstr("\"prompt\" is missing"));
  EXPECT_THAT(reason(R"({"prompt":null,"responses":["a"],"ranks":[1]})"), HasSubstr("\"prompt\" is null"));
  EXPECT_THAT(reason(R"({"prompt":[{"role":"user"}],"responses":["a"],"ranks":[1]})"),
              HasSubstr("\"prompt\"[0]"));
  EXPECT_THAT(reason(R"({"prompt":[{"role":"user","content":null}],"responses":["a"],"ranks":[1]})"),
              HasSubstr("\"content\" is null"));
  EXPECT_THAT(reason(R"({"prompt":"\ud800","responses":["a"],"ranks":[1]})"), HasSubstr("surrogate"));
  EXPECT_THAT(reason("{\"prompt\":\"\xff\",\"responses\":[\"a\"],\"ranks\":[1]}"),
              HasSubstr("not valid JSON"));
  EXPECT_THAT(reason(R"({"prompt":"p","system":"s","chosen":"a","rejected":"b"})"), HasSubstr("\"system\""));
  EXPECT_THAT(reason(R"({"chosen":"a","rejected":3})"), HasSubstr("\"rejected\" is a whole number"));
  EXPECT_THAT(
      reason(R"({"chosen":[{"role":"user","content":"a"}],"rejected":[{"role":"user","content":"b"}]})"),
      HasSubstr("no assistant turn"));
  EXPECT_THAT(reason(R"({"chosen":"\n\nHuman: a","rejected":"\n\nHuman: b"})"),
              HasSubstr("no assistant turn"));
  EXPECT_THAT(reason(R"({"src":["a","b"],"tgt":[],"response":["c"],"rank":[1]})"), HasSubstr("2 turns"));
  EXPECT_THAT(reason(R"({"prompt_ids":[-1],"response_ids":[[1]],"ranks":[1]})"), HasSubstr("holds -1"));
  EXPECT_THAT(reason(R"({"prompt_ids":[4294967296],"response_ids":[[1]],"ranks":[1]})"),
              HasSubstr("4294967296"));
  EXPECT_THAT(reason(std::string(300'000, '[')), HasSubstr("not valid JSON"));
  ReaderOptions scoring;
  scoring.require_ranks = false;
  EXPECT_EQ(reason(R"({"prompt":"p","responses":[""]})", scoring), "(no error)");
  EXPECT_THAT(reason(R"({"prompt_ids":[],"response_ids":[[]]})", scoring), HasSubstr("no tokens"));
  EXPECT_THAT(reason(native(R"("ranks":[1])"), scoring), HasSubstr("1 ranks, expected 2"));
}

TEST(BadRecords, ToolsAreRefusedAndOtherKeysOfMessagesIgnored) {
  const auto with = [](const std::string& key, const std::string& content = "\"q\"") {
    return R"({"prompt":[{"role":"user","content":)" + content + key + R"(}],"responses":["a"],"ranks":[1]})";
  };
  EXPECT_THAT(reason(with(R"(,"tool_calls":[{"id":"1"}])", "null")),
              HasSubstr(R"("prompt"[0] has "tool_calls" (a list), expected none)"));
  EXPECT_THAT(reason(with(R"(,"tools":"x")")), HasSubstr(R"("prompt"[0] has "tools" (a string))"));
  EXPECT_THAT(reason(R"({"prompt":"p","responses":["a"],"ranks":[1],"tools":[{}]})"),
              HasSubstr(R"(the line has "tools" (a list))"));
  for (const char* none : {"null", "[]", "{}", "\"\""})
    EXPECT_EQ(reason(with(fmt::format(R"(,"tool_calls":{0},"tools":{0},"name":"x")", none))), "(no error)");
}

// Calls visit(row) with every value inside `value`, a part of `row`, replaced by one of each kind or erased.
void for_each_damage(Json& row, Json& value, const std::function<void(const Json&)>& visit) {
  const Json whole = value;
  for (const char* other :
       {"null", "true", "-1", "1.5", "\"\"", "\"x\"", "[]", "[null]", "[[]]", "{}", "[{}]"}) {
    value = Json::parse(other);
    visit(row);
  }
  value = whole;
  if (!value.is_structured()) return;
  for (auto item = value.begin(); item != value.end(); ++item) for_each_damage(row, *item, visit);
  for (const auto& [key, item] : whole.items()) {
    if (value.is_object()) {
      value.erase(key);
    } else {
      value.erase(std::stoul(key));  // a list's keys are its indices
    }
    visit(row);
    value = whole;
  }
}

TEST(BadRecords, DamageAnywhereInAnyFormatIsAnErrorOrARecord) {
  LineReader lines(DMOERM_TEST_DATA "/../../examples/data/formats.jsonl");
  int64_t bad = 0, good = 0;
  for (std::string line; lines.next(line);) {
    Json row = Json::parse(line);
    for_each_damage(row, row, [&](const Json& damaged) {
      try {
        parse_record(damaged.dump());
        ++good;
      } catch (const Error& error) {  // anything else fails the test
        EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
        ++bad;
      }
    });
  }
  EXPECT_GT(bad, 500);
  EXPECT_GT(good, 50);
}

TEST(Reader, NamesFileAndLineAndGoesOn) {
  const std::string good = R"({"prompt":"p","responses":["a"],"ranks":[1]})";
  const auto one = temporary("one.jsonl", good + "\n\n{\"prompt\": \n" + good);
  const auto two = temporary("two.jsonl", "\xEF\xBB\xBF" + good + "\r\n");
  PreferenceReader reader({one, two});
  PreferenceRecord record;
  ASSERT_TRUE(reader.next(record));
  EXPECT_EQ(record.line, 1u);
  EXPECT_EQ(reader.line(), good);
  try {
    reader.next(record);
    FAIL();
  } catch (const BadRecord& error) {
    EXPECT_THAT(error.what(), HasSubstr("one.jsonl:3: not valid JSON"));
  }
  ASSERT_TRUE(reader.next(record));
  EXPECT_EQ(record.line, 4u);
  ASSERT_TRUE(reader.next(record));
  EXPECT_EQ(reader.file_index(), 1u);
  EXPECT_FALSE(reader.next(record));
  EXPECT_EQ(reader.num_bad(), 1);

  ReaderOptions skip;
  skip.skip_bad = true;
  PreferenceReader skipping({one, two}, skip);
  int64_t records = 0;
  while (skipping.next(record)) ++records;
  EXPECT_EQ(records, 3);
  EXPECT_EQ(skipping.num_bad(), 1);
}

TEST(Reader, MissingAndTruncatedFilesAreErrorsEvenWhenSkipping) {
  ReaderOptions skip;
  skip.skip_bad = true;
  const std::string good = R"({"prompt":"p","responses":["a"],"ranks":[1]})";
  const auto truncated =
      temporary("truncated.jsonl.gz", std::string("\x1f\x8b\x08\0\0\0\0\0\0\x03\xab\x56", 12));
  PreferenceReader reader({"/nowhere/x.jsonl", truncated, temporary("good.jsonl", good)}, skip);
  PreferenceRecord record;
  EXPECT_THROW(reader.next(record), Error);
  EXPECT_THROW(reader.next(record), Error);
  EXPECT_TRUE(reader.next(record));
  EXPECT_FALSE(reader.next(record));
  EXPECT_FALSE(reader.next(record));
}

TEST(Reader, TenMegabyteLineAndUnusualSeparators) {
  const std::string huge(10'000'000, 'x');
  const auto path =
      temporary("huge.jsonl", R"({"prompt":")" + huge + R"(","responses":["a\u2028b c"],"ranks":[1]})" +
                                  "\n" + huge + "\n");
  PreferenceReader reader({path});
  PreferenceRecord record;
  ASSERT_TRUE(reader.next(record));
  EXPECT_EQ(record.prompt_text.size(), huge.size());
  EXPECT_THROW(reader.next(record), BadRecord);
  EXPECT_FALSE(reader.next(record));
}

TEST(Hashes, AnswerToTheSamePromptStaysTogether) {
  const auto text = parse_record(R"({"prompt":"p","chosen":"a","rejected":"b"})");
  const auto turn =
      parse_record(R"({"prompt":[{"role":"user","content":"p"}],"responses":["c"],"ranks":[1]})");
  const auto other = parse_record(
      R"({"prompt":[{"role":"system","content":"s"},{"role":"user","content":"p"}],"responses":["c"],"ranks":[1]})");
  EXPECT_EQ(prompt_hash(text), prompt_hash(turn));
  EXPECT_NE(prompt_hash(turn), prompt_hash(other));
  EXPECT_NE(answers_hash(text), answers_hash(turn));
}

TEST(Hashes, RecordsWithoutAPromptAnswerPromptsOfTheirOwn) {
  const std::pair<const char*, const char*> forms[] = {
      {R"({"prompt":"","responses":[")", R"("],"ranks":[1]})"},
      {R"({"prompt":[],"responses":[")", R"("],"ranks":[1]})"},
      {R"({"prompt":[{"role":"user","content":""}],"responses":[")", R"("],"ranks":[1]})"},
      {R"({"prompt_ids":[],"response_ids":[[)", R"(]],"ranks":[1]})"},
  };
  for (const auto& [begin, end] : forms) {
    const auto hash = [&](const std::string& answer) {
      return prompt_hash(parse_record(begin + answer + end));
    };
    EXPECT_NE(hash("1"), hash("2")) << begin;
    EXPECT_EQ(hash("1"), hash("1")) << begin;
  }
}

TEST(Hashes, UserTurns) {
  const auto record = parse_record(
      R"({"prompt":[{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},
          {"role":"user","content":"c"}],"responses":["d"],"ranks":[1]})");
  EXPECT_EQ(user_turns_text(record), "a\nc");
}

}  // namespace
}  // namespace dmoerm::data
