// `dmoerm label` as users run it: over HTTP with a key in the environment, dry, and what labels are worth.
#include <gmock/gmock.h>

#include "tests/label/http_fixture.h"
#include "tests/program/program_fixture.h"

namespace dmoerm::label {
namespace {

using ::testing::HasSubstr;

class LabelProgram : public HttpLabelTest {
 protected:
  void SetUp() override { make_world(4); }
  // What the program prints, errors too, and its exit status in status_.
  std::string run(const std::string& arguments) {
    const ProgramResult result =
        run_shell("cd " + directory_.string() + " && OPENAI_API_KEY=sk-secret " DMOERM_PROGRAM " label " +
                  arguments + " 2>&1");
    status_ = result.status;
    return result.output;
  }
  int status_ = 0;
};

TEST_F(LabelProgram, LabelsOverHttpAndMeasuresTheLabels) {
  ScriptedServer server(WorldOverHttp(files_.train, {}));
  const std::string settings =
      "--data train.jsonl --out labels.jsonl --model judge --price-in 1 --price-out 2 --endpoint " +
      server.endpoint();
  EXPECT_THAT(run(settings + " --dry-run"), HasSubstr("dry run: 1296 requests"));
  EXPECT_EQ(server.num_requests(), 0);
  const std::string text = run(settings + " --keep-raw --concurrency 32");
  EXPECT_EQ(status_, 0) << text;
  EXPECT_THAT(text,
              AllOf(HasSubstr("648 labels (0 found in the store), 1296 calls"), HasSubstr("cost 0.26")));
  EXPECT_THAT(run(settings), HasSubstr("648 labels (648 found in the store), 0 calls"));
  EXPECT_EQ(server.num_requests(), 1296);
  const std::string stats = run("stats --labels labels.jsonl --data train.jsonl --report out/report.html");
  EXPECT_EQ(status_, 0) << stats;
  EXPECT_THAT(stats, AllOf(HasSubstr("chat / proactivity"), HasSubstr("648 labels of judge"),
                           HasSubstr("distinctness")));
  EXPECT_THAT(read_file(directory_ / "out/report.html"), HasSubstr("Agreement between points"));
  for (const auto& entry : fs::directory_iterator(directory_))
    EXPECT_TRUE(entry.is_directory() || read_file(entry.path()).find("sk-secret") == std::string::npos);
}

TEST_F(LabelProgram, OneTaskMayBeGivenToAllRecords) {
  run("--data train.jsonl --out one.jsonl --judge world --task chat");
  EXPECT_EQ(status_, 0);
  LineReader reader(directory_ / "one.jsonl");
  int64_t labels = 0;
  for (std::string line; reader.next(line); ++labels) EXPECT_EQ(parse_json(line, "label")["task"], "chat");
  EXPECT_GT(labels, 0);
}

TEST_F(LabelProgram, SaysInOneLineWhatIsWrong) {
  ScriptedServer server([](const ScriptedRequest& request) {
    return ScriptedReply{.status = 401, .body = request.headers.at("authorization")};
  });
  const std::string settings =
      "--data train.jsonl --out labels.jsonl --model judge --endpoint " + server.endpoint();
  EXPECT_THAT(run(settings),
              HasSubstr("dmoerm: [label] the server refuses the key: HTTP 401: Bearer [key]\n"));
  EXPECT_EQ(status_, 1);
  EXPECT_THAT(run("--out labels.jsonl"), HasSubstr("--data"));
  EXPECT_EQ(status_, 2);
  EXPECT_THAT(run(settings + " --extra-body '{'"), HasSubstr("--extra-body"));
  EXPECT_EQ(status_, 1);
  for (const std::string option : {"--budget 3", "--keep-raw", "--judge ranks --model judge", "--dry-run"})
    EXPECT_THAT(run("--data train.jsonl --out other.jsonl " + option),
                HasSubstr("is for a model behind an API"))
        << option;
  EXPECT_FALSE(fs::exists(directory_ / "other.jsonl"));
  EXPECT_THAT(run("tasks --language zh"), HasSubstr("language = \"zh\""));
  EXPECT_EQ(status_, 0);
}

}  // namespace
}  // namespace dmoerm::label
