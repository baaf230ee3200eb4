// The client against a server that misbehaves: what is sent again, what is final, what stops the run.
#include "dmoerm/label/http_judge.h"

#include <gmock/gmock.h>
#include <spdlog/sinks/ostream_sink.h>
#include <unistd.h>

#include <chrono>
#include <sstream>

#include "dmoerm/core/log.h"
#include "tests/label/http_fixture.h"

namespace dmoerm::label {
namespace {

using Ending = ScriptedReply::Ending;
using ::testing::HasSubstr;
using ::testing::Not;

double seconds_of(const std::function<void()>& action) {
  const auto begin = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

class HttpJudgeTest : public HttpLabelTest {
 protected:
  // One record with two answers, one point: two calls.
  void SetUp() override {
    files_.train = directory_ / "train.jsonl";
    write_records(1);
  }
  void write_records(int count) {
    std::string text;
    for (int i = 0; i < count; ++i)
      text += dump_json({{"id", std::to_string(i)},
                         {"task", "chat"},
                         {"prompt", "Q?"},
                         {"responses", {"one", "two"}},
                         {"ranks", {1, 2}}}) +
              "\n";
    write_file_atomically(files_.train, text);
  }
  LabelRun small_run(const ScriptedServer& server) const {
    LabelRun run = run_against(server);
    run.points = {"logic"};
    return run;
  }
  LabelSummary label(ScriptedServer& server) { return label_files(small_run(server)); }
  std::string only_reason() const { return lines_of("labels.jsonl").at(0).value("reason", "kept"); }
};

// Answers with `bad` until it has done so `times` times, then "1" or "2" by the order of the replies.
ScriptedServer::Script after_faults(int times, ScriptedReply bad) {
  return [times, bad, count = std::make_shared<int>(0)](const ScriptedRequest& request) {
    if ((*count)++ < times) return bad;
    return chat_reply(last_message(request).find("[Reply 1]\none") != std::string::npos ? "1" : "2");
  };
}

TEST_F(HttpJudgeTest, SendsWhatTheApiExpects) {
  ScriptedRequest seen;
  ScriptedServer server([&](const ScriptedRequest& request) {
    seen = request;
    return chat_reply("1");
  });
  LabelRun run = small_run(server);
  write_file_atomically(directory_ / "key", "sk-secret\n");
  run.key_file = directory_ / "key";
  run.chat.system = "Be fair.";
  run.chat.extra_body = {{"max_tokens", nullptr}, {"max_completion_tokens", 9}, {"top_p", 0.5}};
  const LabelSummary summary = label_files(run);
  EXPECT_EQ(summary.calls, 2);
  EXPECT_EQ(only_reason(), "disagree");
  EXPECT_EQ(seen.path, "/v1/chat/completions");
  EXPECT_EQ(seen.headers.at("authorization"), "Bearer sk-secret");
  EXPECT_EQ(seen.headers.at("content-type"), "application/json");
  Json body = Json::parse(seen.body);
  EXPECT_EQ(body["messages"].size(), 2u);
  EXPECT_EQ(body["messages"][0], Json({{"role", "system"}, {"content", "Be fair."}}));
  EXPECT_THAT(body["messages"][1]["content"].get<std::string>(),
              HasSubstr("[Reply 1]\ntwo\n\n[Reply 2]\none\n"));
  body.erase("messages");
  EXPECT_EQ(body, Json::parse(
                      R"({"model": "judge", "temperature": 0.0, "max_completion_tokens": 9, "top_p": 0.5})"));
}

// As `--data <(zcat …)` gives it: what was read is gone.
TEST_F(HttpJudgeTest, LabelsDataFromAPipe) {
  ScriptedServer server(after_faults(0, {}));
  const std::string text = read_file(files_.train);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_EQ(write(ends[1], text.data(), text.size()), std::ssize(text));
  close(ends[1]);
  LabelRun run = small_run(server);
  run.data = {fmt::format("/dev/fd/{}", ends[0])};
  EXPECT_EQ(label_files(run).calls, 2);
  close(ends[0]);
}

TEST_F(HttpJudgeTest, SendsAgainAfterEveryPassingFault) {
  const std::pair<const char*, ScriptedReply> faults[] = {
      {"429", {.status = 429, .body = "{}"}},
      {"500", {.status = 500, .body = "oops"}},
      {"503", {.status = 503}},
      {"no answer", {.ending = Ending::NoAnswer}},
      {"closed in the body", {.body = chat_reply("1").body, .ending = Ending::InTheBody}},
      {"no JSON", {.body = "<html></html>"}},
      {"cut JSON", {.body = "{\"choices\": [{\"mess"}},
      {"empty", {.body = ""}},
      {"huge", {.body = std::string(100'000, ' ')}},
  };
  for (const auto& [name, fault] : faults) {
    ScriptedServer server(after_faults(9, fault));  // the tenth attempt may succeed
    LabelRun run = small_run(server);
    run.http.max_body = 50'000;
    run.http.concurrency = 1;
    run.out = directory_ / (std::string(name) + ".jsonl");
    const LabelSummary summary = label_files(run);
    EXPECT_EQ(summary.total.kept, 1) << name;
    EXPECT_EQ(server.num_requests(), 9 + 2) << name;
    EXPECT_EQ(summary.calls, 2);
  }
}

TEST_F(HttpJudgeTest, GivesUpAfterTheAttemptsAndAsksAgainOnlyWhenTold) {
  bool broken = true;
  ScriptedServer server([&](const ScriptedRequest& request) {
    const bool first = last_message(request).find("[Reply 1]\none") != std::string::npos;
    if (broken && first) return ScriptedReply{.status = 500, .body = "{\"error\": \"down\"}"};
    return chat_reply(first ? "1" : "2");
  });
  EXPECT_EQ(label(server).failed_calls, 1);
  EXPECT_EQ(server.num_requests(), 10 + 1);
  EXPECT_EQ(only_reason(), "failed");
  EXPECT_EQ(lines_of("labels.calls").size(), 2u);
  for (const Json& call : lines_of("labels.calls"))
    EXPECT_EQ(call.value("text", ""),
              call["answer"] == "failed" ? "10 attempts, the last: HTTP 500: down" : "");
  broken = false;
  const LabelSummary reused = label(server);
  EXPECT_EQ(reused.calls, 0);  // final
  EXPECT_THAT(reused.to_text(), HasSubstr("1 labels failed in earlier runs; --retry-failed"));
  LabelRun again = small_run(server);
  again.retry_failed = true;
  EXPECT_EQ(label_files(again).calls, 1);  // only the call that failed
  EXPECT_EQ(server.num_requests(), 10 + 1 + 1);
  EXPECT_EQ(lines_of("labels.jsonl").size(), 1u);
  EXPECT_EQ(only_reason(), "kept");
  EXPECT_EQ(label(server).calls, 0);
}

TEST_F(HttpJudgeTest, TakesOtherStatusesAsFinal) {
  for (const int status : {400, 422}) {
    ScriptedServer server(
        [&](const ScriptedRequest&) { return ScriptedReply{.status = status, .body = "no"}; });
    LabelRun run = small_run(server);
    run.out = directory_ / fmt::format("{}.jsonl", status);
    EXPECT_EQ(label_files(run).failed_calls, 2);
    EXPECT_EQ(server.num_requests(), 2);
    EXPECT_EQ(lines_of(fmt::format("{}.calls", status)).at(0)["text"], fmt::format("HTTP {}: no", status));
  }
}

TEST_F(HttpJudgeTest, TakesAnswersWithoutAVerdictAsFinal) {
  ScriptedServer server([&](const ScriptedRequest&) { return chat_reply("Both are fine."); });
  EXPECT_EQ(label(server).total.reasons.at("unparsed"), 1);
  EXPECT_EQ(server.num_requests(), 2);
  EXPECT_THAT(lines_of("labels.calls").at(0)["text"].get<std::string>(), HasSubstr("names no reply"));
}

TEST_F(HttpJudgeTest, ObeysRetryAfter) {
  ScriptedServer server(after_faults(1, {.status = 429, .headers = {"Retry-After: 1"}}));
  LabelRun run = small_run(server);
  run.http.concurrency = 1;
  EXPECT_GE(seconds_of([&] { label_files(run); }), 1.0);
  EXPECT_EQ(server.num_requests(), 3);
}

TEST_F(HttpJudgeTest, ObeysTheTimeout) {
  ScriptedServer server(after_faults(1, {.ending = Ending::Silence}));
  LabelRun run = small_run(server);
  run.http.timeout = 1;  // of the one request that is never answered; the others must not come near it
  EXPECT_LT(seconds_of([&] { EXPECT_EQ(label_files(run).total.kept, 1); }), 10);
  EXPECT_EQ(server.num_requests(), 3);
}

TEST_F(HttpJudgeTest, WaitsForAServerThatIsNotThereYet) {
  LabelRun run;
  {
    ScriptedServer gone([](const ScriptedRequest&) { return chat_reply("1"); });
    run = small_run(gone);
  }
  EXPECT_EQ(label_files(run).failed_calls, 2);
  EXPECT_THAT(lines_of("labels.calls").at(0)["text"].get<std::string>(),
              HasSubstr("10 attempts, the last: "));
}

TEST_F(HttpJudgeTest, StopsWhenTheKeyIsRefusedAndKeepsWhatWasAnswered) {
  write_records(20);
  write_file_atomically(directory_ / "key", "sk-secret");
  int count = 0;
  ScriptedServer server([&](const ScriptedRequest& request) {
    if (++count <= 5) return chat_reply("1");
    return ScriptedReply{.status = 401, .body = "bad " + request.headers.at("authorization")};
  });
  LabelRun run = small_run(server);
  run.key_file = directory_ / "key";
  const std::string error = error_of([&] { label_files(run); });
  EXPECT_EQ(error, "[label] the server refuses the key: HTTP 401: bad Bearer [key]");
  EXPECT_EQ(lines_of("labels.calls").size(), 5u);
  EXPECT_LE(server.num_requests(), 5 + run.http.concurrency);
}

TEST_F(HttpJudgeTest, StopsAtA403OnlyBeforeAnySuccess) {
  write_records(5);
  int count = 0, flagged = 3;
  ScriptedServer server([&](const ScriptedRequest&) {
    return ++count == flagged ? ScriptedReply{.status = 403, .body = "flagged"} : chat_reply("1");
  });
  LabelRun run = small_run(server);
  run.http.concurrency = 1;
  const LabelSummary summary = label_files(run);
  EXPECT_EQ(summary.calls, 10);
  EXPECT_EQ(summary.failed_calls, 1);
  count = 0, flagged = 1;
  run.out = directory_ / "refused.jsonl";
  EXPECT_EQ(error_of([&] { label_files(run); }), "[label] the server refuses the key: HTTP 403: flagged");
}

TEST_F(HttpJudgeTest, CarriesTheKeyToNoOtherHost) {
  ScriptedServer other([](const ScriptedRequest&) { return chat_reply("1"); });
  ScriptedServer server([&](const ScriptedRequest&) {
    return ScriptedReply{.status = 307, .headers = {"Location: " + other.endpoint() + "/chat/completions"}};
  });
  EXPECT_THAT(error_of([&] { label(server); }), HasSubstr("the endpoint has moved to \"" + other.endpoint()));
  EXPECT_EQ(other.num_requests(), 0);
}

TEST_F(HttpJudgeTest, ShowsTheKeyNowhere) {
  write_records(8);
  write_file_atomically(directory_ / "key", "sk-secret");
  auto text = std::make_shared<std::ostringstream>();
  log().sinks() = {std::make_shared<spdlog::sinks::ostream_sink_mt>(*text)};
  int count = 0;
  ScriptedServer server([&](const ScriptedRequest& request) {
    const std::string echo = request.headers.at("authorization");
    switch (++count % 4) {
      case 0:
        return ScriptedReply{.status = 500, .body = dump_json({{"error", {{"message", echo}}}})};
      case 1:
        return ScriptedReply{.status = 400, .body = echo};
      case 2:
        return ScriptedReply{.body = "no JSON " + echo};
      default:
        return chat_reply(count % 8 == 3 ? echo : "1 " + echo);
    }
  });
  LabelRun run = small_run(server);
  run.key_file = directory_ / "key";
  run.keep_raw = true;
  *text << label_files(run).to_text();
  log().sinks().clear();
  EXPECT_THAT(text->str(), HasSubstr("[key]"));
  EXPECT_THAT(text->str(), Not(HasSubstr("sk-secret")));
  fs::remove(directory_ / "key");
  size_t files = 0;
  for (const auto& entry : fs::directory_iterator(directory_)) {
    EXPECT_EQ(read_file(entry.path()).find("sk-secret"), std::string::npos) << entry.path();
    ++files;
  }
  EXPECT_EQ(files, 5u);  // the data, labels.jsonl, .calls, .raw, .lock
  EXPECT_THAT(read_file(directory_ / "labels.raw"), HasSubstr("[key]"));
}

TEST_F(HttpJudgeTest, KeepsRawAnswers) {
  ScriptedServer server(after_faults(0, {}));
  LabelRun run = small_run(server);
  run.keep_raw = true;
  label_files(run);
  const std::vector<Json> raw = lines_of("labels.raw");
  ASSERT_EQ(raw.size(), 2u);
  EXPECT_EQ(raw[0]["raw"], Json::parse(chat_reply(raw[0]["order"] == "ab" ? "1" : "2").body));
  EXPECT_EQ(raw[0]["id"], "0");
}

TEST_F(HttpJudgeTest, KeepsManyRequestsInFlight) {
  write_records(100);
  ScriptedServer server([](const ScriptedRequest&) {
    ScriptedReply reply = chat_reply("1");
    reply.delay = 0.1;
    return reply;
  });
  LabelRun run = small_run(server);
  run.http.concurrency = 20;
  const double seconds = seconds_of([&] { EXPECT_EQ(label_files(run).calls, 200); });
  EXPECT_GE(server.most_in_flight(), 10);
  EXPECT_LE(server.most_in_flight(), 20);
  EXPECT_GE(seconds, 200 * 0.1 / 20);
}

TEST_F(HttpJudgeTest, KeepsTheLimitOfRequests) {
  write_records(10);
  ScriptedServer server([](const ScriptedRequest&) { return chat_reply("1"); });
  LabelRun run = small_run(server);
  run.http.requests_per_minute = 600;  // 10 at once, then one every 0.1 s
  EXPECT_GE(seconds_of([&] { label_files(run); }), 0.1 * (20 - 10 - 1));
}

TEST_F(HttpJudgeTest, StopsBeforeTheBudgetAndGoesOnWithAHigherOne) {
  write_records(50);
  ScriptedServer server([](const ScriptedRequest&) { return chat_reply("1", 300, 10); });
  LabelRun run = small_run(server);
  run.http.prices = {.prompt = 10, .completion = 100};  // a call costs 0.003 + 0.001
  run.http.budget = 0.1;
  const LabelSummary first = label_files(run);
  EXPECT_GT(first.calls, 10);
  EXPECT_LE(first.calls, 25);  // 25 * 0.004 is the budget
  EXPECT_EQ(first.calls, server.num_requests());
  EXPECT_EQ(first.calls + first.unasked_calls, 100);
  EXPECT_THAT(first.to_text(), HasSubstr("stopped at the budget of 0.1"));
  EXPECT_EQ(label_files(run).calls, 0);  // the budget counts earlier runs
  run.http.budget = 1;
  const LabelSummary second = label_files(run);
  EXPECT_EQ(first.calls + second.calls, 100);
  EXPECT_EQ(second.open_labels, 0);
  EXPECT_EQ(server.num_requests(), 100);
  EXPECT_THAT(second.to_text(), HasSubstr("with earlier runs 0.400000"));
}

// An attempt that may have been paid for counts in later runs, though its question was never answered.
TEST_F(HttpJudgeTest, RemembersWhatOpenQuestionsHaveCost) {
  int count = 0;
  ScriptedServer server([&](const ScriptedRequest&) {
    if (++count == 1) return ScriptedReply{.body = "no JSON"};
    return ScriptedReply{.status = 401};
  });
  LabelRun run = small_run(server);
  run.http.concurrency = 1;
  EXPECT_THAT(error_of([&] { label_files(run); }), HasSubstr("refuses the key"));
  const std::vector<Json> calls = lines_of("labels.calls");
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_TRUE(calls[0].at("answer").is_null());
  EXPECT_EQ(calls[0].at("completion_tokens"), 64);
  const Tokens spent{calls[0].at("prompt_tokens"), calls[0].at("completion_tokens")};
  run.http.prices = {.prompt = 1, .completion = 1};
  run.http.budget = run.http.prices.of(spent) * 1.5;  // enough for one attempt at its most, not for two
  const LabelSummary summary = label_files(run);
  EXPECT_EQ(summary.calls, 0);
  EXPECT_EQ(server.num_requests(), 2);
  EXPECT_THAT(summary.to_text(), HasSubstr("stopped at the budget"));
  EXPECT_EQ(lines_of("labels.calls").size(), 1u);
}

TEST_F(HttpJudgeTest, RemembersWhatQuestionsLeftOpenAtTheBudgetHaveCost) {
  ScriptedServer server([](const ScriptedRequest&) { return ScriptedReply{.body = "no JSON"}; });
  LabelRun run = small_run(server);
  run.http.concurrency = 1;
  run.http.prices = {.completion = 1};
  run.http.budget = 64e-6 * 1.5;  // one attempt
  EXPECT_EQ(label_files(run).calls, 0);
  EXPECT_EQ(server.num_requests(), 1);
  EXPECT_EQ(label_files(run).calls, 0);
  EXPECT_EQ(server.num_requests(), 1);
}

TEST_F(HttpJudgeTest, DryRunAsksAndWritesNothing) {
  write_records(50);
  ScriptedServer server([](const ScriptedRequest&) { return chat_reply("1"); });
  LabelRun run = small_run(server);
  run.dry_run = true;
  run.http.prices = {.prompt = 1, .completion = 2};
  const LabelSummary summary = label_files(run);
  EXPECT_EQ(summary.unasked_calls, 100);
  EXPECT_EQ(server.num_requests(), 0);
  EXPECT_THAT(summary.to_text(), AllOf(HasSubstr("dry run: 100 requests, "), HasSubstr("estimated"),
                                       HasSubstr("at most 6400 completion tokens"), HasSubstr("cost 0.0")));
  EXPECT_FALSE(fs::exists(run.out));
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), {}), 1);
  run.dry_run = false;
  label_files(run);
  run.dry_run = true;
  EXPECT_EQ(label_files(run).unasked_calls, 0);
}

TEST_F(HttpJudgeTest, SaysWhatWasCut) {
  ScriptedServer server([](const ScriptedRequest&) { return chat_reply("1"); });
  LabelRun run = small_run(server);
  run.chat.max_answer_characters = 2;
  EXPECT_THAT(label_files(run).to_text(), HasSubstr("4 replies were cut at 2 characters"));
}

TEST_F(HttpJudgeTest, RefusesSettingsThatMakeNoSense) {
  ScriptedServer server([](const ScriptedRequest&) { return chat_reply("1"); });
  const auto refuses = [&](const std::function<void(LabelRun&)>& change, const std::string& message) {
    LabelRun run = small_run(server);
    change(run);
    EXPECT_THAT(error_of([&] { label_files(run); }), HasSubstr(message));
    EXPECT_FALSE(fs::exists(run.out));
  };
  refuses([](LabelRun& run) { run.http.endpoint = ""; }, "give --endpoint");
  refuses([](LabelRun& run) { run.judge = "builtin"; }, "an endpoint goes with a model");
  refuses([](LabelRun& run) { run.http.endpoint = "ftp://x"; }, "is no address");
  for (const char* endpoint : {"https://user:word@x/v1", "user:word@x/v1", "ftp://user:word@x"}) {
    const auto change = [&](LabelRun& run) { run.http.endpoint = endpoint; };
    refuses(change, "user's name or password");
    LabelRun run = small_run(server);
    change(run);
    EXPECT_EQ(error_of([&] { label_files(run); }).find("word@"), std::string::npos) << endpoint;
  }
  refuses([](LabelRun& run) { run.judge = "http", run.chat.model = ""; }, "give --model");
  refuses([](LabelRun& run) { run.http.concurrency = 0; }, "concurrency is 0");
  refuses([](LabelRun& run) { run.http.retry.attempts = 0; }, "attempts is 0");
  refuses([](LabelRun& run) { run.http.timeout = 0; }, "timeout is 0");
  refuses([](LabelRun& run) { run.http.budget = 1; }, "a budget needs prices");
  refuses([](LabelRun& run) { run.http.budget = -1; }, "the budget is -1");
  refuses([](LabelRun& run) { run.chat.extra_body = {{"stream", true}}; }, "may not hold \"stream\"");
  refuses([](LabelRun& run) { run.chat.extra_body = Json::array(); }, "expected an object");
  refuses([](LabelRun& run) { run.key_variable = "DMOERM_NO_SUCH_KEY"; }, "DMOERM_NO_SUCH_KEY is not set");
  refuses([](LabelRun& run) { run.language = "fr"; }, "expected en or zh");
  refuses([](LabelRun& run) { run.dry_run = true, run.write_batch = "x"; }, "give one of a dry run");
  refuses([](LabelRun& run) { run.judge = "builtin", run.dry_run = true; }, "give --model");
  EXPECT_EQ(server.num_requests(), 0);
}

}  // namespace
}  // namespace dmoerm::label
