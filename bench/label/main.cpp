// Labelling over HTTP against a server on loopback that takes a fixed time for each answer: requests a
// second, processor time and memory. Server and client share this process.
#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdlib>
#include <fstream>

#include "dmoerm/core/file.h"
#include "dmoerm/label/label_files.h"
#include "tests/label/scripted_server.h"

namespace {

using namespace dmoerm;

// Of four answers: six pairs, five points and both orders make 60 calls a record.
constexpr int64_t kCallsOfRecord = 60;

double resident_megabytes() {
  std::ifstream statm("/proc/self/statm");
  double size = 0, resident = 0;
  statm >> size >> resident;
  return resident * 4096 / 1e6;
}

double processor_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * time.tv_usec;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void write_records(const fs::path& path, int64_t records) {
  AtomicFile file(path);
  for (int64_t i = 0; i < records; ++i) {
    Json answers = Json::array();
    for (int answer = 0; answer < 4; ++answer)
      answers.push_back(fmt::format("Answer {} to question {}: ", answer, i) +
                        std::string(400, 'a' + answer));
    file.write(dump_json({{"id", std::to_string(i)},
                          {"task", "chat"},
                          {"prompt", "Why?"},
                          {"responses", answers},
                          {"ranks", {1, 2, 3, 4}}}) +
               "\n");
  }
  file.commit();
}

}  // namespace

int main(int argc, char** argv) {
  int64_t requests = 6000, concurrency = 64;
  double delay = 0.2;
  CLI::App app{"Labelling over HTTP: requests a second, processor time, memory"};
  app.add_option("--requests", requests, "")->capture_default_str();
  app.add_option("--concurrency", concurrency, "Requests in flight")->capture_default_str();
  app.add_option("--delay", delay, "Seconds that the server takes for an answer")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  const fs::path directory = fs::temp_directory_path() / fmt::format("dmoerm-bench-label-{}", getpid());
  fs::create_directories(directory);
  write_records(directory / "train.jsonl", requests / kCallsOfRecord);
  int64_t seen = 0;
  double early = 0, most = 0;
  label::ScriptedServer server([&](const label::ScriptedRequest&) {
    label::ScriptedReply reply = label::chat_reply("1");
    reply.delay = delay;
    if (++seen % 500 == 0) most = std::max(most, resident_megabytes());
    if (seen == requests / 10) early = resident_megabytes();
    return reply;
  });
  label::LabelRun run{.data = {directory / "train.jsonl"}, .out = directory / "labels.jsonl"};
  run.http.endpoint = server.endpoint();
  run.http.concurrency = concurrency;
  run.chat.model = "judge";
  const auto begin = std::chrono::steady_clock::now();
  const double processor = processor_seconds();
  const label::LabelSummary summary = label::label_files(run);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  fmt::print("{} requests, {} in flight, {} s each: {:.1f} requests/s of at most {:.1f}\n", summary.calls,
             concurrency, delay, static_cast<double>(summary.calls) / seconds,
             static_cast<double>(concurrency) / delay);
  fmt::print("processor time, server included: {:.2f} ms a request\n",
             1000 * (processor_seconds() - processor) / static_cast<double>(summary.calls));
  fmt::print("resident after a tenth: {:.1f} MB, at most: {:.1f} MB\n", early, most);
  remove_tree(directory);
  return 0;
}
