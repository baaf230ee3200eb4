// A labelling process killed with SIGKILL, three times, against a server that misbehaves: only what was in
// flight is asked again, and every call ends in one state. The process is this program itself, started with
// the test below.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "dmoerm/core/random.h"
#include "tests/label/http_fixture.h"

namespace dmoerm::label {
namespace {

constexpr const char* kDirectory = "DMOERM_TEST_LABEL_DIRECTORY";
constexpr const char* kEndpoint = "DMOERM_TEST_LABEL_ENDPOINT";
constexpr int64_t kConcurrency = 12;

// Labels kDirectory/train.jsonl; runs only when KilledLabelling starts it.
TEST(LabellingProcess, Runs) {
  const char* directory = std::getenv(kDirectory);
  if (directory == nullptr) GTEST_SKIP();
  LabelRun run{.data = {fs::path(directory) / "train.jsonl"}, .out = fs::path(directory) / "labels.jsonl"};
  run.http.endpoint = std::getenv(kEndpoint);
  run.http.concurrency = kConcurrency;
  run.http.retry.first_delay = 0.01;
  run.http.retry.max_delay = 0.05;
  run.chat.model = "judge";
  write_file_atomically(fs::path(directory) / "summary.txt", label_files(run).to_text());
}

class KilledLabelling : public HttpLabelTest {
 protected:
  pid_t start(const ScriptedServer& server) const {
    const std::string directory = directory_.string(), endpoint = server.endpoint();
    const pid_t child = fork();
    if (child != 0) return child;
    setenv(kDirectory, directory.c_str(), 1);
    setenv(kEndpoint, endpoint.c_str(), 1);
    if (freopen("/dev/null", "w", stdout) == nullptr) _exit(126);
    execl("/proc/self/exe", "test_label", "--gtest_filter=LabellingProcess.Runs",
          static_cast<char*>(nullptr));
    _exit(127);
  }
};

TEST_F(KilledLabelling, RepeatsOnlyWhatWasInFlight) {
  make_world(2);
  const WorldOverHttp judge(files_.train, {});
  std::map<std::string, int> answered;  // good answers given to each prompt
  int64_t good = 0;
  std::atomic<int64_t> good_now = 0;
  ScriptedServer server([&](const ScriptedRequest& request) -> ScriptedReply {
    RandomStream random(3, "faults", {static_cast<uint64_t>(server.num_requests())});
    switch (random.below(12)) {
      case 0:
        return {.status = 429};
      case 1:
        return {.status = 500, .body = "oops"};
      case 2:
        return {.ending = ScriptedReply::Ending::NoAnswer};
      case 3:
        return {.body = "{\"choices\":"};
      default:
        break;
    }
    ++answered[last_message(request)];
    good_now = ++good;
    ScriptedReply reply = judge(request);
    reply.delay = 0.01;
    return reply;
  });
  const int64_t total = 2 * 6 * 27 * 2;
  for (const int64_t killed_at : {total / 5, total / 2, total * 4 / 5}) {
    const pid_t child = start(server);
    while (good_now < killed_at) usleep(1000);
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status));
  }
  int status = -1;
  waitpid(start(server), &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(answered.size(), total);
  EXPECT_LE(good, total + 3 * kConcurrency);  // each kill costs at most what was in flight
  for (const auto& [prompt, count] : answered) EXPECT_LE(count, 4) << prompt;
  std::set<std::string> calls, labels;
  for (const Json& line : lines_of("labels.calls")) {
    EXPECT_TRUE(
        calls
            .insert(
                Json({line["id"], line["point"], line["a"], line["b"], line["order"], line["vote"]}).dump())
            .second);
    EXPECT_TRUE(line["answer"] == "a" || line["answer"] == "b");
  }
  for (const Json& line : lines_of("labels.jsonl"))
    EXPECT_TRUE(labels.insert(Json({line["id"], line["point"], line["a"], line["b"]}).dump()).second);
  EXPECT_EQ(calls.size(), total);
  EXPECT_EQ(labels.size(), total / 2);
  EXPECT_THAT(read_file(directory_ / "summary.txt"),
              ::testing::HasSubstr(fmt::format("10 records, {} labels", total / 2)));
}

}  // namespace
}  // namespace dmoerm::label
