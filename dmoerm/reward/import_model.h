// A model put together from parts that other tools wrote: a base, PEFT adapters, aggregators, a router.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "dmoerm/reward/model_manifest.h"

namespace dmoerm::reward {

inline constexpr int64_t kNoLabel = -1;  // of a task whose config names no label

struct ImportConfig {
  ModelManifest parts;              // with the paths where the parts lie now
  std::filesystem::path tokenizer;  // "": that of the first task's base, if it has one
};

// Reads a TOML file (docs/formats.md). Paths are relative to the current directory.
ImportConfig load_import_config(const std::filesystem::path& file,
                                const std::vector<std::string>& overrides = {});

// Loads the parts, which checks that they fit together, copies them into `directory`, which must not exist
// yet, and loads what was written. Error names the part and its file. Weights are copied byte for byte.
void import_model(const ImportConfig& config, const std::filesystem::path& directory);

}  // namespace dmoerm::reward
