// dmoerm study: a matrix of methods, seeds, data sizes and noise; a table and a report.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstring>
#include <iostream>
#include <map>
#include <thread>

#include "apps/dmoerm/commands.h"
#include "apps/dmoerm/console.h"
#include "apps/dmoerm/run_flags.h"
#include "apps/dmoerm/study_output.h"
#include "dmoerm/core/file.h"
#include "dmoerm/core/log.h"

namespace dmoerm::app {
namespace {

struct StudyFlags {
  RunFlags run;
  int64_t jobs = 1;
  bool worker = false;
};

// This program again, for one share of the work; its output goes to `log_file`.
pid_t start_worker(const StudyFlags& flags, int64_t threads, const fs::path& log_file) {
  std::vector<std::string> arguments = {"dmoerm",         "study",
                                        flags.run.config, "--worker",
                                        "--threads",      std::to_string(threads),
                                        "--device",       flags.run.runtime.device,
                                        "--dtype",        flags.run.runtime.dtype};
  for (const std::string& text : flags.run.overrides) arguments.insert(arguments.end(), {"--set", text});
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                   0644);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  pid_t child = 0;
  const int error = posix_spawn(&child, "/proc/self/exe", &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) fail("study", "cannot start a process: {}", std::strerror(error));
  return child;
}

void run_workers(const StudyFlags& flags, const study::StudyConfig& study) {
  const int64_t cores = std::max<int64_t>(1, std::thread::hardware_concurrency());
  const int64_t threads =
      flags.run.runtime.threads > 0 ? flags.run.runtime.threads : std::max<int64_t>(1, cores / flags.jobs);
  fs::create_directories(study.out / "logs");
  std::map<pid_t, fs::path> workers;  // and their logs
  for (int64_t i = 0; i < flags.jobs; ++i) {
    const fs::path log_file = study.out / "logs" / fmt::format("worker-{}.log", i + 1);
    workers[start_worker(flags, threads, log_file)] = log_file;
  }
  const std::vector<study::StudyCell> cells = study::make_cells(study, torch::kCPU, torch::kFloat32);
  Progress progress("study", study::count_runs(study, cells).total, "runs");
  int64_t done = 0;
  while (!workers.empty()) {
    std::this_thread::sleep_for(std::chrono::seconds(1));
    std::erase_if(workers, [](const auto& worker) {
      int status = 0;
      if (waitpid(worker.first, &status, WNOHANG) == 0) return false;
      if (status != 0) log().warn("a process ended with an error, see {}", worker.second.string());
      return true;
    });
    const int64_t now = study::count_runs(study, cells).finished;
    progress.advance(now - done);
    done = now;
  }
}

}  // namespace

void add_study_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "study", "Compare methods over seeds, data sizes and noise; print tables, write a report");
  auto flags = std::make_shared<StudyFlags>();
  command->add_option("config", flags->run.config, "configuration file (TOML)")
      ->required()
      ->check(CLI::ExistingFile);
  RunFlags::add_overrides(*command, flags->run.overrides);
  RunFlags::add_runtime_flags(*command, flags->run.runtime);
  command
      ->add_option("--jobs", flags->jobs,
                   "processes that share the runs, each with its part of the threads; their "
                   "output goes to OUT/logs")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_flag("--worker", flags->worker)->group("");  // of the processes that --jobs starts
  command->footer(
      "Example:\n  dmoerm study examples/study/world.toml --jobs 2\nA study that was interrupted goes on "
      "when it is "
      "started again; what is finished is not made anew.");
  command->callback([flags] {
    const study::StudyConfig study = study::load_study_config(flags->run.config, flags->run.overrides);
    if (flags->worker) prctl(PR_SET_PDEATHSIG, SIGTERM);  // saves its state and ends when the program ends
    if (!flags->worker && flags->jobs > 1) {
      run_workers(*flags, study);
    } else {
      const train::RunOptions options = flags->run.start();
      const int64_t failures = study::run_study(study, options.device, options.dtype);
      if (flags->worker && failures > 0) throw ExitStatus{1};
    }
    if (!flags->worker) show_study(study);
  });
}

}  // namespace dmoerm::app
