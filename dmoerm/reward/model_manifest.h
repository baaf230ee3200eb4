// dmoerm.json: what a model's directory holds and how the parts belong together (format 1).
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dmoerm/core/json.h"

namespace dmoerm::reward {

inline constexpr const char* kManifestFile = "dmoerm.json";

struct ExpertEntry {
  std::string point, path;
};

struct TaskEntry {
  std::string name;
  std::vector<std::string> aliases;
  std::string base;
  std::vector<ExpertEntry> experts;
  std::string aggregator;           // path; "": none
  std::vector<double> sum_weights;  // of {"sum": […]}; empty: none
  double reward_mean = 0, reward_std = 1;
  int64_t label = 0;  // row of the base's own head, without experts
};

struct RouterEntry {
  std::string path, kind;
  std::vector<std::string> labels;
  int64_t top = 1;
};

// Paths are relative to the directory that holds the file.
struct ModelManifest {
  std::string kind, chat_format;
  int64_t max_tokens = 0;
  std::optional<RouterEntry> router;
  std::vector<TaskEntry> tasks;
  std::map<std::string, std::string> sha256;  // file -> digest; empty: none given

  // Error, naming file and field, for a missing, mistyped or unknown key, another format or an unknown kind.
  static ModelManifest load(const std::filesystem::path& directory);
  Json to_json() const;
};

// A directory name for a task or point: itself where any file system takes it, else made so and told apart by
// a hash.
std::string directory_name(const std::string& name);

// Digests of every file below `directory` except dmoerm.json itself.
std::map<std::string, std::string> file_digests(const std::filesystem::path& directory);

}  // namespace dmoerm::reward
