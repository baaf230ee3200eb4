// A run's directory: its lock, its identity, the state of each stage, and the metrics file.
#pragma once

#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dmoerm/core/file.h"
#include "dmoerm/core/json.h"
#include "dmoerm/core/safetensors.h"

namespace dmoerm::train {

// What a stage (router, phase1/chat, …) has reached: tensors and a JSON description.
struct StageState {
  NamedTensors tensors;
  Json description;
};

// One process at a time holds it. Everything in it is written atomically, the metrics file is cut back to the
// last saved state when a run goes on.
class RunDirectory {
 public:
  // Takes the lock; Error when another process holds it. Without `resume` a directory that holds a run is
  // refused.
  RunDirectory(std::filesystem::path path, bool resume);
  ~RunDirectory();

  // Before the first stage. `identity` is what must not change between a start and its resume (configuration,
  // data): a flat JSON object. Error that names the first key that differs.
  void begin(const Json& identity);

  const std::filesystem::path& path() const { return path_; }
  std::optional<StageState> load_stage(const std::string& stage) const;
  void save_stage(const std::string& stage, NamedTensors tensors, Json description);
  void append_metrics(const Json& line);

 private:
  std::filesystem::path stage_path(const std::string& stage) const;

  std::filesystem::path path_;
  FileLock lock_;
  std::FILE* metrics_ = nullptr;
};

// Begins the run in `to` with those of the named stages that the finished run in `from` has, and with the
// metrics lines of these alone. Does nothing where `to` has stages already.
void copy_stages(const std::filesystem::path& from, const std::filesystem::path& to,
                 const std::vector<std::string>& stages);

}  // namespace dmoerm::train
