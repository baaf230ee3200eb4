// Flags that the training commands share.
#pragma once

#include <CLI/CLI.hpp>

#include "dmoerm/core/runtime.h"
#include "dmoerm/train/double_layer_run.h"

namespace dmoerm::app {

struct RunFlags {
  std::string config;
  std::vector<std::string> overrides;
  bool resume = false;
  RuntimeOptions runtime;

  void add_to(CLI::App& command) {
    command.add_option("config", config, "configuration file (TOML)")->required()->check(CLI::ExistingFile);
    add_overrides(command, overrides);
    command.add_flag("--resume", resume, "go on with a run that was stopped or killed");
    add_runtime_flags(command, runtime);
  }
  // Sets threads and device, and makes an interrupt save the run's state first.
  train::RunOptions start() const;

  static void add_overrides(CLI::App& command, std::vector<std::string>& overrides) {
    command.add_option("--set", overrides, "KEY=VALUE: replaces a key of the configuration (repeatable)")
        ->allow_extra_args(false);  // what follows may be the configuration
  }
  static void add_runtime_flags(CLI::App& command, RuntimeOptions& runtime) {
    command.add_option("--threads", runtime.threads, "CPU threads (default: all cores)");
    command.add_option("--device", runtime.device, "cpu, cuda or cuda:N")->capture_default_str();
    command
        .add_option("--dtype", runtime.dtype,
                    "Of matrix products: float32, bfloat16, or auto (bfloat16 on CUDA, float32 on the CPU)")
        ->check(CLI::IsMember({"auto", "float32", "bfloat16"}))
        ->capture_default_str();
  }
};

}  // namespace dmoerm::app
