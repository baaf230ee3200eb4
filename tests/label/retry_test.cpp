// Delays between attempts, limits a minute, the key, and what a server's answers mean.
#include "dmoerm/label/retry.h"

#include <gmock/gmock.h>

#include "dmoerm/core/error.h"
#include "dmoerm/label/api_key.h"
#include "dmoerm/label/chat_answer.h"
#include "dmoerm/label/rate_limit.h"
#include "dmoerm/label/spending.h"
#include "tests/core/temporary_directory.h"
#include "tests/label/scripted_server.h"

namespace dmoerm::label {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Retry, DelaysGrowWithJitterAndObeyTheServer) {
  RandomStream random(1, "test");
  const RetryOptions options;  // 0.5 s doubled up to 60 s
  for (int64_t failures = 1; failures <= 100; ++failures) {
    const double full = failures > 7 ? 60 : 0.5 * (1 << (failures - 1));
    for (int i = 0; i < 20; ++i) {
      const double delay = retry_delay(options, failures, std::nullopt, random);
      EXPECT_GE(delay, full / 2);
      EXPECT_LE(delay, full);
    }
  }
  EXPECT_NE(retry_delay(options, 5, std::nullopt, random), retry_delay(options, 5, std::nullopt, random));
  EXPECT_EQ(retry_delay(options, 1, 30, random), 30);
  EXPECT_GE(options.attempts, 10);
}

TEST(Retry, ReadsSecondsAndDates) {
  const std::time_t now = 784111777 - 60;  // a minute before Sun, 06 Nov 1994 08:49:37 GMT
  EXPECT_EQ(parse_retry_after("7", now), 7);
  EXPECT_EQ(parse_retry_after("0", now), 0);
  EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), 60);
  EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now + 100), 0);  // past
  EXPECT_EQ(parse_retry_after("99999999999999999999", now), 24 * 3600);
  for (const char* text : {"", "soon", "-5", "1.5x"})
    EXPECT_EQ(parse_retry_after(text, now), std::nullopt) << text;
}

// Time passes in steps of 10 ms, and whatever may pass does.
double passed_in(TokenBucket& bucket, double begin, double seconds, double amount) {
  double passed = 0;
  for (int step = 0; step < 100 * seconds; ++step)
    for (const double now = begin + 0.01 * step; bucket.wait(now) <= 0; passed += amount)
      bucket.take(now, amount);
  return passed;
}

TEST(TokenBucket, KeepsTheLimitOfAMinute) {
  TokenBucket requests(300);
  const double first = passed_in(requests, 100, 60, 1);
  EXPECT_GE(first, 300);
  EXPECT_LE(first, 300 + 5);  // a second's worth more
  EXPECT_LE(passed_in(requests, 160, 60, 1), 301);
  TokenBucket tokens(6000);
  EXPECT_NEAR(passed_in(tokens, 5, 600, 700), 60000, 800);  // each is more than a second's worth
  TokenBucket none(0);
  EXPECT_EQ(none.wait(1), 0);
  TokenBucket slow(1);  // one a minute, the first at once
  EXPECT_EQ(slow.wait(10), 0);
  slow.take(10, 1);
  EXPECT_NEAR(slow.wait(10), 60, 1e-3);
  EXPECT_NEAR(slow.wait(40), 30, 1e-3);
}

TEST(Spending, CountsWhatIsInFlightAtItsMost) {
  Spending spending({.prompt = 1e6, .completion = 2e6}, 10,
                    {1, 0});  // 1 a prompt token, 2 a completion token
  const Tokens most{2, 1};
  EXPECT_TRUE(spending.fits(most));
  spending.send(most);
  spending.send(most);
  EXPECT_FALSE(spending.fits(most));  // 1 + 4 + 4 + 4 > 10
  spending.receive(most, {1, 0});
  EXPECT_TRUE(spending.fits(most));
  EXPECT_DOUBLE_EQ(spending.cost(), 1);
  EXPECT_DOUBLE_EQ(spending.cost_of_all(), 2);
}

class ApiKeyTest : public TemporaryDirectoryTest {};

TEST_F(ApiKeyTest, ComesFromAVariableOrAFileAndIsRedacted) {
  write_file_atomically(directory_ / "key", "  sk-secret\n");
  const ApiKey key = ApiKey::from_file(directory_ / "key");
  EXPECT_EQ(key.header(), "Authorization: Bearer sk-secret");
  EXPECT_EQ(key.redacted(std::string("a sk-secret, sk-secretsk-secret")), "a [key], [key][key]");
  const Json json = {{"sk-secret", {"Bearer sk-secret", 1, {{"x", "sk-secret"}}}}};
  EXPECT_EQ(key.redacted_json(json), Json::parse(R"({"[key]": ["Bearer [key]", 1, {"x": "[key]"}]})"));
  setenv("DMOERM_TEST_KEY", "sk-other", 1);
  EXPECT_EQ(ApiKey::from_environment("DMOERM_TEST_KEY", false).header(), "Authorization: Bearer sk-other");
  unsetenv("DMOERM_TEST_KEY");
  EXPECT_TRUE(ApiKey::from_environment("DMOERM_TEST_KEY", true).empty());
  EXPECT_THAT(error_of([] { ApiKey::from_environment("DMOERM_TEST_KEY", false); }), HasSubstr("is not set"));
  const std::string bad = error_of([] { ApiKey::from_text("sk-\r\nHost: evil", "f"); });
  EXPECT_THAT(bad, AllOf(HasSubstr("visible ASCII"), Not(HasSubstr("evil"))));
  EXPECT_THAT(error_of([] { ApiKey::from_text(" \n", "f"); }), HasSubstr("the key is empty"));
  EXPECT_THAT(error_of([&] { ApiKey::from_file(directory_ / "none"); }), HasSubstr("none"));
}

ChatAnswer answer_to(long status, const std::string& body, const std::string& error = "",
                     bool key_works = false) {
  HttpResponse response;
  response.status = status;
  response.body = body;
  response.error = error;
  response.sent = true;
  response.retry_after = "3";
  return read_chat_answer(std::move(response), ApiKey::from_text("sk-secret", "test"), 0, key_works);
}

TEST(ChatAnswer, SortsAnswers) {
  using Kind = ChatAnswer::Kind;
  const ChatAnswer good = answer_to(200, chat_reply("1", 7, 2).body);
  EXPECT_EQ(good.kind, Kind::Final);
  EXPECT_EQ(good.verdict.choice, Choice::First);
  EXPECT_TRUE(good.counted);
  EXPECT_EQ(good.verdict.tokens.prompt, 7);
  EXPECT_EQ(good.verdict.tokens.completion, 2);
  for (const long status : {408, 429, 500, 502, 503, 529}) {
    const ChatAnswer answer = answer_to(status, R"({"error": {"message": "slow down"}})");
    EXPECT_EQ(answer.kind, Kind::Retry) << status;
    EXPECT_EQ(answer.retry_after, 3);
    EXPECT_FALSE(answer.may_be_paid);
    EXPECT_EQ(answer.verdict.text, fmt::format("HTTP {}: slow down", status));
  }
  for (const long status : {400, 413, 422}) {
    EXPECT_EQ(answer_to(status, "no").kind, Kind::Final) << status;
    EXPECT_EQ(answer_to(status, "no").verdict.choice, Choice::Failed);
  }
  for (const long status : {301, 307, 401, 402, 403, 404, 405})
    EXPECT_EQ(answer_to(status, "").kind, Kind::Stop) << status;
  EXPECT_EQ(answer_to(429, R"({"error": {"code": "insufficient_quota"}})").kind, Kind::Stop);
  const std::string deep = std::string(2'000'000, '[') + std::string(2'000'000, ']');
  for (const std::string& broken : {std::string(), std::string("{\"choices\": ["),
                                    std::string("<html>busy</html>"), std::string("\xff"), deep}) {
    EXPECT_EQ(answer_to(200, broken).kind, Kind::Retry) << broken.substr(0, 20);
    EXPECT_TRUE(answer_to(200, broken).may_be_paid);
  }
  EXPECT_EQ(answer_to(200, chat_reply("1").body, "closed early").kind, Kind::Retry);
  EXPECT_EQ(answer_to(0, "", "no route").kind, Kind::Retry);
}

TEST(ChatAnswer, TakesAnErrorInA200ForTheStatusThatItNames) {
  using Kind = ChatAnswer::Kind;
  const auto named = [](const Json& code) {
    return answer_to(200, dump_json({{"error", {{"code", code}, {"message", "busy"}}}}));
  };
  for (const Json& code : {Json(408), Json(429), Json(502), Json("overloaded"), Json(), Json(7)}) {
    const ChatAnswer answer = named(code);
    EXPECT_EQ(answer.kind, Kind::Retry) << code;
    EXPECT_TRUE(answer.may_be_paid) << code;
    EXPECT_EQ(answer.verdict.choice, Choice::Failed) << code;
    EXPECT_THAT(answer.verdict.text, HasSubstr("busy")) << code;
  }
  EXPECT_EQ(named(400).kind, Kind::Final);
  EXPECT_EQ(named(400).verdict.choice, Choice::Failed);
  EXPECT_FALSE(named(400).may_be_paid);
  for (const int code : {401, 402, 404}) EXPECT_EQ(named(code).kind, Kind::Stop) << code;
  EXPECT_EQ(answer_to(200, R"({"choices": [], "error": {"message": "busy"}})").kind, Kind::Retry);
}

TEST(ChatAnswer, TakesA403ForOneRequestOnceTheKeyWorks) {
  using Kind = ChatAnswer::Kind;
  EXPECT_EQ(answer_to(403, "flagged").kind, Kind::Stop);
  const ChatAnswer flagged = answer_to(403, "flagged", "", true);
  EXPECT_EQ(flagged.kind, Kind::Final);
  EXPECT_EQ(flagged.verdict.choice, Choice::Failed);
  EXPECT_EQ(flagged.verdict.text, "HTTP 403: flagged");
  EXPECT_EQ(answer_to(401, "", "", true).kind, Kind::Stop);
}

// Valid JSON without a verdict is final, and says what is missing.
TEST(ChatAnswer, IsUnparsedWithoutAVerdict) {
  const std::pair<const char*, const char*> bodies[] = {
      {"{}", "no \"choices\""},
      {"[]", "no \"choices\""},
      {"3", "no \"choices\""},
      {R"({"choices": []})", "no \"choices\""},
      {R"({"choices": [], "error": null})", "no \"choices\""},
      {R"({"choices": [1]})", "choices[0].message.content"},
      {R"({"choices": [{"text": "1"}]})", "choices[0].message.content"},
      {R"({"choices": [{"message": {"content": null}}]})", "choices[0].message.content"},
      {R"({"choices": [{"message": {"content": null, "refusal": "I will not"}}]})", "refused: I will not"},
      {R"({"choices": [{"message": {"content": "Hm"}, "finish_reason": "length"}]})", "limit of tokens"},
      {R"({"choices": [{"message": {"content": "Reply 1 is"}, "finish_reason": "length"}]})",
       "limit of tokens"},
      {R"({"choices": [{"message": {"content": 1}}], "usage": {"prompt_tokens": "x"}})", "message.content"},
  };
  for (const auto& [body, reason] : bodies) {
    const ChatAnswer answer = answer_to(200, body);
    EXPECT_EQ(answer.kind, ChatAnswer::Kind::Final) << body;
    EXPECT_EQ(answer.verdict.choice, Choice::Unparsed) << body;
    EXPECT_THAT(answer.verdict.text, HasSubstr(reason)) << body;
    EXPECT_FALSE(answer.counted);
  }
  const char* parts =
      R"({"choices": [{"message": {"content": [{"type": "text", "text": "Reply "}, {"text": "2"}]}}]})";
  EXPECT_EQ(answer_to(200, parts).verdict.choice, Choice::Second);
}

TEST(ChatAnswer, NeverHoldsTheKey) {
  const std::string echo = "Authorization: Bearer sk-secret";
  for (const long status : {200L, 400L, 401L, 404L, 500L}) {
    for (const std::string& body :
         {echo, dump_json({{"error", {{"message", echo}}}}), chat_reply(echo + " sk-secret").body,
          std::string(R"({"error": {"message": "sk\u002dsecret"}})"), std::string(195, 'x') + "sk-secret"}) {
      const ChatAnswer answer = answer_to(status, body);
      EXPECT_THAT(answer.verdict.text + answer.verdict.raw.dump(), Not(HasSubstr("sk-secret")));
    }
  }
}

}  // namespace
}  // namespace dmoerm::label
