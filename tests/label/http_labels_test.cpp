// Labelling over HTTP from end to end: the world's judge behind a server, a judge with a known bias, batch
// files, and many kinds of faults at once.
#include <gmock/gmock.h>

#include <cmath>

#include "dmoerm/core/random.h"
#include "dmoerm/data/capability_labels.h"
#include "dmoerm/label/batch.h"
#include "tests/label/http_fixture.h"

namespace dmoerm::label {
namespace {

using Ending = ScriptedReply::Ending;
using ::testing::HasSubstr;

class HttpLabels : public HttpLabelTest {
 protected:
  // Lines without the judge's name, in any order.
  std::multiset<std::string> labels_in(const fs::path& file) const {
    std::multiset<std::string> labels;
    for (Json& line : lines_of(file.filename())) {
      line.erase("judge");
      labels.insert(line.dump());
    }
    return labels;
  }
};

// The demo's judge, reached over HTTP, gives the labels that it gives in this process: it draws the same
// errors.
TEST_F(HttpLabels, EqualTheWorldJudgesOwn) {
  make_world(3);
  ScriptedServer server(WorldOverHttp(files_.train, {.seed = 5}));
  LabelRun http = run_against(server);
  const LabelSummary summary = label_files(http);
  LabelRun direct{.data = http.data, .out = directory_ / "direct.jsonl", .judge = "world"};
  direct.options.seed = 5;
  const LabelSummary expected = label_files(direct);
  EXPECT_EQ(expected.calls, 5 * 3 * 6 * 27 / 5 * 2);
  EXPECT_EQ(summary.calls, expected.calls);
  EXPECT_EQ(summary.total.kept, expected.total.kept);
  EXPECT_EQ(labels_in(http.out), labels_in(direct.out));
  EXPECT_EQ(server.num_requests(), summary.calls);
  EXPECT_EQ(data::CapabilityLabels::load({http.out}).num_kept(),
            summary.total.kept);  // as training reads them
}

// A judge that is right but for a share b of answers, which name the first reply whatever it says, keeps an
// untied pair when the order that shows the worse reply first escapes the bias: 1 - b. A tied pair is drawn:
// the first reply is named with p = b + (1 - b) / 2, and kept with 2 p (1 - p).
TEST_F(HttpLabels, KeepTheClosedFormsShareUnderAPositionBias) {
  make_world(14);
  constexpr double kBias = 0.3;
  const WorldJudgeOptions options{.seed = 7, .error = 0, .position_bias = kBias};
  ScriptedServer server(WorldOverHttp(files_.train, options));
  LabelRun run = run_against(server);
  run.http.concurrency = 8;
  const LabelSummary summary = label_files(run);
  const WorldJudge judge(options);
  std::map<std::string, data::PreferenceRecord> records;
  data::PreferenceReader reader({files_.train});
  for (data::PreferenceRecord record; reader.next(record);) records[record.id] = record;
  double expected = 0, variance = 0;
  for (const Json& line : lines_of("labels.jsonl")) {
    const std::string point = line["point"];
    const bool tied =
        judge.tied({records.at(line["id"]), point, line["a"].get<size_t>(), line["b"].get<size_t>()});
    const double p = kBias + (1 - kBias) / 2, kept = tied ? 2 * p * (1 - p) : 1 - kBias;
    expected += kept;
    variance += kept * (1 - kept);
  }
  ASSERT_GT(summary.total.labels, 2000);
  EXPECT_NEAR(static_cast<double>(summary.total.kept), expected, 4 * std::sqrt(variance));
  EXPECT_EQ(summary.total.kept + summary.total.reasons.at("disagree"), summary.total.labels);
  EXPECT_NEAR(static_cast<double>(summary.total.first) / summary.total.answers, 0.5 + kBias / 2, 0.02);
}

// Draws a fault for about half of the requests.
ScriptedServer::Script with_faults(ScriptedServer::Script answer) {
  return [answer, count = std::make_shared<uint64_t>(0)](const ScriptedRequest& request) -> ScriptedReply {
    RandomStream random(3, "faults", {(*count)++});
    switch (random.below(22)) {
      case 0:
        return {.status = 429, .headers = {"Retry-After: 0"}};
      case 1:
        return {.status = 429};
      case 2:
        return {.status = 500, .body = "oops"};
      case 3:
        return {.ending = Ending::NoAnswer};
      case 4:
        return {.body = answer(request).body, .ending = Ending::InTheBody};
      case 5:
        return {.body = "{\"choices\": [{"};
      case 6:
        return {.body = "<html>"};
      case 7:
        return {.body = std::string(60'000, '{')};
      case 8:
        return {.body = R"({"choices": []})"};
      case 9:
        return chat_reply("Neither.");
      case 10:
        return {.status = 400, .body = R"({"error": {"message": "refused"}})"};
      default: {
        ScriptedReply reply = answer(request);
        reply.delay = random.uniform() * 0.004;
        return reply;
      }
    }
  };
}

TEST_F(HttpLabels, HaveOneFinalStateEachUnderFaults) {
  make_world(2);
  ScriptedServer server(with_faults(WorldOverHttp(files_.train, {})));
  LabelRun run = run_against(server);
  run.http.max_body = 50'000;
  const LabelSummary summary = label_files(run);
  std::map<std::string, int64_t> reasons;
  std::set<std::string> labels, calls;
  for (const Json& line : lines_of("labels.jsonl")) {
    EXPECT_TRUE(labels
                    .insert(fmt::format("{} {} {} {}", line["id"].dump(), line["point"].dump(),
                                        line["a"].dump(), line["b"].dump()))
                    .second);
    if (line["winner"].is_null()) ++reasons[line["reason"]];
  }
  for (const Json& line : lines_of("labels.calls"))
    EXPECT_TRUE(calls
                    .insert(fmt::format("{} {} {} {} {}", line["id"].dump(), line["point"].dump(),
                                        line["a"].dump(), line["b"].dump(), line["order"].dump()))
                    .second);
  EXPECT_EQ(labels.size(), 2u * 6 * 27);
  EXPECT_EQ(calls.size(), 2u * 6 * 27 * 2);
  EXPECT_EQ(summary.calls, calls.size());
  EXPECT_EQ(summary.total.labels, labels.size());
  EXPECT_EQ(summary.total.reasons, reasons);
  EXPECT_GT(reasons["unparsed"], 0);
  EXPECT_GT(reasons["failed"], 0);
  const int64_t before = server.num_requests();
  EXPECT_EQ(label_files(run).calls, 0);
  EXPECT_EQ(server.num_requests(), before);
}

TEST_F(HttpLabels, AskEachVote) {
  make_world(1);
  ScriptedServer server(WorldOverHttp(files_.train, {}));
  LabelRun run = run_against(server);
  run.points = {"logic"};
  run.options.votes = 3;
  run.options.max_pairs = 2;
  run.chat.temperature = 1;
  const LabelSummary summary = label_files(run);
  EXPECT_EQ(summary.calls, 5 * 2 * 2 * 3);
  for (const Json& line : lines_of("labels.jsonl")) EXPECT_EQ(line["votes"]["ba"].size(), 3u);
}

class BatchFiles : public HttpLabels {
 protected:
  void SetUp() override {
    make_world(1);
    run_ = {.data = {files_.train}, .out = directory_ / "labels.jsonl"};
    run_.chat.model = "judge";
  }
  void write_lines(const std::string& name, const std::vector<std::string>& lines) const {
    write_file_atomically(directory_ / name, fmt::format("{}\n", fmt::join(lines, "\n")));
  }
  static std::string result(const std::string& id, int status, const std::string& body) {
    return dump_json(
        {{"id", "batch_req_1"},
         {"custom_id", id},
         {"response", {{"status_code", status}, {"request_id", "r"}, {"body", Json::parse(body)}}},
         {"error", nullptr}});
  }
  // Every request of the folder answered by the world's judge.
  std::vector<std::pair<std::string, std::string>> answers(const WorldOverHttp& judge) const {
    std::vector<std::pair<std::string, std::string>> answers;
    for (const Json& line : lines_of("batch/requests-00001.jsonl"))
      answers.emplace_back(line["custom_id"], judge({.body = line["body"].dump()}).body);
    return answers;
  }
  LabelRun run_;
};

TEST_F(BatchFiles, GiveTheLabelsThatRequestsGive) {
  run_.write_batch = directory_ / "batch";
  EXPECT_THAT(label_files(run_).to_text(), HasSubstr("324 requests in 1 files"));
  EXPECT_FALSE(fs::exists(run_.out));
  EXPECT_THAT(error_of([&] { label_files(run_); }), HasSubstr("holds request files already"));
  const Json request = lines_of("batch/requests-00001.jsonl").at(0);
  EXPECT_EQ(request["method"], "POST");
  EXPECT_EQ(request["url"], "/v1/chat/completions");
  EXPECT_EQ(request["body"]["model"], "judge");
  run_.write_batch = directory_ / "again";  // ids are stable
  label_files(run_);
  EXPECT_EQ(read_file(directory_ / "batch/requests-00001.jsonl"),
            read_file(directory_ / "again/requests-00001.jsonl"));

  const WorldOverHttp judge(files_.train, {.seed = 5});
  auto answered = answers(judge);
  std::vector<std::string> results, errors;
  for (size_t i = answered.size(); i-- > 20;)
    results.push_back(result(answered[i].first, 200, answered[i].second));
  results.push_back(results.front());                                    // repeated
  results.push_back(result("someone-else", 200, chat_reply("1").body));  // unknown
  for (size_t i = 0; i < 10; ++i)
    errors.push_back(result(answered[i].first, 500, R"({"error": {"message": "down"}})"));
  write_lines("results.jsonl", results);
  write_lines("errors.jsonl", errors);  // and ten without a result
  run_.write_batch.clear();
  run_.read_batch = {directory_ / "errors.jsonl", directory_ / "results.jsonl"};
  const LabelSummary first = label_files(run_);
  EXPECT_EQ(first.calls, 314);
  EXPECT_EQ(first.failed_calls, 10);
  EXPECT_EQ(first.unasked_calls, 10);
  EXPECT_THAT(first.to_text(),
              HasSubstr("316 results read: 314 taken, 0 answered before, 1 repeated, 1 of unknown requests"));

  results.clear();  // the failed and the missing ones, by a second batch
  run_.read_batch.clear();
  run_.write_batch = directory_ / "second";
  run_.retry_failed = true;
  EXPECT_EQ(label_files(run_).unasked_calls, 20);
  for (size_t i = 0; i < 22; ++i) results.push_back(result(answered[i].first, 200, answered[i].second));
  write_lines("results.jsonl", results);
  run_.write_batch.clear();
  run_.retry_failed = false;
  run_.read_batch = {directory_ / "results.jsonl"};
  const LabelSummary second = label_files(run_);
  EXPECT_EQ(second.calls, 20);
  EXPECT_THAT(second.to_text(),
              HasSubstr("22 results read: 20 taken, 2 answered before, 0 repeated, 0 of unknown"));

  LabelRun direct{.data = run_.data, .out = directory_ / "direct.jsonl", .judge = "world"};
  direct.options.seed = 5;
  label_files(direct);
  EXPECT_EQ(labels_in(run_.out), labels_in(direct.out));
}

TEST_F(BatchFiles, AreCutAtTheirLimit) {
  ChatOptions options;
  options.model = "judge";
  BatchWriter writer(ChatRequests(options, JudgePrompts::builtin("en")), directory_ / "batch", 3);
  data::PreferenceRecord record;
  record.id = "x";
  record.prompt_text = "q";
  record.is_text = true;
  record.responses = {{{"assistant", "a"}}, {{"assistant", "b"}}};
  for (int64_t vote = 0; vote < 7; ++vote)
    writer.ask({record, "logic", 0, 1, vote},
               [](const Verdict& verdict) { EXPECT_EQ(verdict.choice, Choice::Unasked); });
  writer.finish();
  std::set<std::string> ids;
  for (const auto& [file, lines] : {std::pair(1, 3u), std::pair(2, 3u), std::pair(3, 1u)}) {
    const auto requests = lines_of(fmt::format("batch/requests-0000{}.jsonl", file));
    EXPECT_EQ(requests.size(), lines);
    for (const Json& request : requests) ids.insert(request["custom_id"]);
  }
  EXPECT_EQ(ids.size(), 7u);
  EXPECT_LE(BatchWriter::kMaxLines, 50'000);
}

// What a server says goes into the journal and to the log: one line, whatever it is.
TEST_F(BatchFiles, FailuresAreOneShortLine) {
  ChatOptions options;
  options.model = "judge";
  data::PreferenceRecord record;
  record.id = "x";
  record.responses = {{{"assistant", "a"}}, {{"assistant", "b"}}};
  const Question question{record, "logic", 0, 1};
  const std::string message = "line one\nline two " + std::string(100'000, 'x');
  write_lines("errors.jsonl", {dump_json({{"custom_id", batch_id(question, "judge")},
                                          {"response", nullptr},
                                          {"error", {{"code", "expired"}, {"message", message}}}})});
  BatchReader reader("judge", {directory_ / "errors.jsonl"}, false);
  reader.ask(question, [](const Verdict& verdict) {
    EXPECT_EQ(verdict.choice, Choice::Failed);
    EXPECT_THAT(verdict.text, HasSubstr("the batch failed: line one line two xxx"));
    EXPECT_LT(verdict.text.size(), 300u);
  });
}

TEST_F(BatchFiles, RefuseDamagedResults) {
  run_.read_batch = {directory_ / "results.jsonl"};
  const std::pair<const char*, const char*> lines[] = {
      {"{\"custom_id\": ", "results.jsonl:2"},
      {"{\"response\": null}", "\"custom_id\" is missing"},
      {"{\"custom_id\": \"x\", \"response\": {\"body\": {}}}", "\"status_code\" is missing"},
      {"{\"custom_id\": \"x\", \"response\": null, \"error\": null}", "neither"}};
  for (const auto& [line, message] : lines) {
    write_lines("results.jsonl", {result("y", 200, "{}"), line});
    EXPECT_THAT(error_of([&] { label_files(run_); }), HasSubstr(message));
  }
  write_lines("results.jsonl",
              {R"({"custom_id": "x", "response": null, "error": {"code": "batch_expired"}})"});
  EXPECT_EQ(label_files(run_).calls, 0);
  run_.read_batch = {directory_ / "none.jsonl"};
  EXPECT_THAT(error_of([&] { label_files(run_); }), HasSubstr("none.jsonl"));
}

}  // namespace
}  // namespace dmoerm::label
