#include "dmoerm/train/run_directory.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "dmoerm/core/log.h"

namespace dmoerm::train {
namespace {

constexpr const char* kIdentity = "run.json";
constexpr const char* kMetrics = "metrics.jsonl";

fs::path file_of(const fs::path& states, const std::string& stage) {
  return states / (stage + ".safetensors");
}

void check_identity(const fs::path& file, const Json& now) {
  const Json before = load_json(file);
  for (const auto& [key, value] : now.items()) {
    if (!before.contains(key) || before[key] != value)
      fail("resume", "{} differs from the run in {}: it was {}, it is {}; start anew in another directory",
           key, file.parent_path().string(), before.contains(key) ? before[key].dump() : "absent",
           value.dump());
  }
  for (const auto& [key, value] : before.items())
    if (!now.contains(key)) fail("resume", "{} of the run in {} is gone", key, file.parent_path().string());
}

}  // namespace

RunDirectory::RunDirectory(fs::path path, bool resume)
    : path_(std::move(path)), lock_((fs::create_directories(path_), path_ / ".lock")) {
  if (!resume && fs::exists(path_ / kIdentity))
    fail("train", "{} holds a run already: continue it with --resume or choose another directory",
         path_.string());
}

void RunDirectory::begin(const Json& identity) {
  const fs::path identity_file = path_ / kIdentity, metrics_file = path_ / kMetrics;
  if (fs::exists(identity_file)) {
    check_identity(identity_file, identity);
  } else {
    write_file_atomically(identity_file, dump_json(identity, 2) + "\n");
  }
  uint64_t keep = 0;  // metrics up to the newest saved state
  if (fs::exists(path_ / "state"))
    for (const auto& entry : fs::recursive_directory_iterator(path_ / "state"))
      if (entry.path().extension() == ".safetensors")
        keep =
            std::max<uint64_t>(keep, std::stoull(SafeTensors(entry.path()).metadata().at("metrics_bytes")));
  metrics_ = std::fopen(metrics_file.c_str(), "ab");
  if (metrics_ == nullptr) fail("train", "cannot write {}: {}", metrics_file.string(), std::strerror(errno));
  if (fs::file_size(metrics_file) > keep) fs::resize_file(metrics_file, keep);
}

RunDirectory::~RunDirectory() {
  if (metrics_ != nullptr) std::fclose(metrics_);
}

fs::path RunDirectory::stage_path(const std::string& stage) const {
  return file_of(path_ / "state", stage);
}

std::optional<StageState> RunDirectory::load_stage(const std::string& stage) const {
  const fs::path path = stage_path(stage);
  if (!fs::exists(path)) return std::nullopt;
  const SafeTensors file(path);
  StageState state;
  for (const std::string& name : file.names()) state.tensors[name] = file.tensor(name).clone();
  const auto text = file.metadata().find("description");
  if (text == file.metadata().end()) fail(path.string(), "is not a saved stage");
  state.description = parse_json(text->second, path.string());
  return state;
}

void RunDirectory::save_stage(const std::string& stage, NamedTensors tensors, Json description) {
  std::fflush(metrics_);
  fsync(fileno(metrics_));
  const auto bytes = fs::file_size(path_ / kMetrics);
  save_safetensors(stage_path(stage), tensors,
                   {{"description", dump_json(description)}, {"metrics_bytes", std::to_string(bytes)}});
}

void RunDirectory::append_metrics(const Json& line) {
  const std::string text = dump_json(line) + "\n";
  if (std::fwrite(text.data(), 1, text.size(), metrics_) != text.size())
    fail("train", "cannot write {}: {}", (path_ / kMetrics).string(), std::strerror(errno));
  std::fflush(metrics_);
}

void copy_stages(const fs::path& from, const fs::path& to, const std::vector<std::string>& stages) {
  if (fs::exists(to / "state")) return;
  std::string metrics;
  LineReader lines(from / kMetrics);
  for (std::string line; lines.next(line);) {
    const auto stage = parse_json(line, (from / kMetrics).string()).at("stage").get<std::string>();
    if (std::ranges::find(stages, stage) != stages.end()) metrics += line + "\n";
  }
  write_file_atomically(to / kMetrics, metrics);
  AtomicDirectory states(to / "state");
  for (const std::string& stage : stages) {
    if (!fs::exists(file_of(from / "state", stage))) continue;
    const SafeTensors source(file_of(from / "state", stage));
    NamedTensors tensors;
    for (const std::string& name : source.names()) tensors[name] = source.tensor(name);
    save_safetensors(file_of(states.path(), stage), tensors,
                     {{"description", source.metadata().at("description")},
                      {"metrics_bytes", std::to_string(metrics.size())}});
  }
  states.commit();
}

}  // namespace dmoerm::train
