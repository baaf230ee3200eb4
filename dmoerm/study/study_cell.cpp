#include "dmoerm/study/study_cell.h"

#include <algorithm>
#include <set>

#include "dmoerm/core/hash.h"
#include "dmoerm/core/random.h"
#include "dmoerm/data/record_format.h"
#include "dmoerm/data/split.h"
#include "dmoerm/label/label_files.h"
#include "dmoerm/reward/model_manifest.h"
#include "dmoerm/study/world_settings.h"
#include "dmoerm/train/run_data.h"

namespace dmoerm::study {
namespace {

train::RunConfig load_run(const StudyConfig& study, const fs::path& path, const std::string& kind,
                          uint64_t seed) {
  std::vector<std::string> overrides = study.run_overrides;
  overrides.push_back(fmt::format("seed={}", seed));
  train::RunConfig config = train::load_run_config(path, overrides);
  if (config.kind != kind) fail(path.string(), "kind is \"{}\", expected \"{}\"", config.kind, kind);
  return config;
}

// Turns the ranking of a record round: the best answer becomes the worst.
void reverse(std::vector<int64_t>& ranks) {
  if (ranks.empty()) return;
  const auto [low, high] = std::ranges::minmax(ranks);
  for (int64_t& rank : ranks) rank = low + high - rank;
}

uint64_t hash_file(uint64_t hash, const fs::path& path) {
  return hash_combine(hash, hash64(sha256_file(path)));
}

}  // namespace

StudyCell::StudyCell(const StudyConfig& study, const Condition& condition, torch::Device device,
                     torch::ScalarType dtype)
    : study_(study), condition_(condition), device_(device), dtype_(dtype) {
  if (study.world) {
    world_.emplace(study.out, *study.world, condition.seed, condition.conflict);
    double_layer_ = world_double_layer("", "", condition.seed);
    single_ = world_single("", condition.seed);
  } else {
    double_layer_ = load_run(study, study.double_layer, "double_layer", condition.seed);
    single_ = load_run(study, study.single, "single", condition.seed);
    if (single_.phase1_form != "full")
      fail(study.single.string(),
           "train.form is \"{}\", expected \"full\": a study's methods build on the single model's own "
           "weights",
           single_.phase1_form);
  }
  const std::string setting = condition.setting();
  std::string name = fmt::format("seed {}{}{}", condition.seed, setting.empty() ? "" : ", ", setting);
  name = fmt::format("{}-{:08x}", name, fingerprint() >> 32);
  std::erase(name, ',');
  std::ranges::replace(name, ' ', '_');
  directory_ = study.out / "cells" / name;
  if (world_) {
    double_layer_ = world_double_layer(world_->directory(), directory_ / "labels.jsonl", condition.seed);
    single_ = world_single(world_->directory(), condition.seed);
  }
  if (condition.size == 1 && condition.rank_noise == 0) return;
  for (train::RunConfig* config : {&double_layer_, &single_}) config->data = {{{directory_ / "train.jsonl"}}};
}

std::string StudyCell::tasks_setting() const {
  const auto tasks = double_layer_.settings.find("tasks");
  if (tasks == double_layer_.settings.end()) return "";
  return tasks->second.substr(1, tasks->second.size() - 2);  // TOML quotes it
}

uint64_t StudyCell::fingerprint() const {
  uint64_t hash = hash64(fmt::format("{}", condition_.setting()));
  for (const train::RunConfig* config : {&double_layer_, &single_})
    for (const auto& [key, value] : config->settings)
      if (key != "out") hash = hash_combine(hash, hash64(key + "=" + value));
  if (world_) return hash_combine(hash, world_->fingerprint());
  for (const train::RunConfig* config : {&double_layer_, &single_}) {
    for (const train::DataSource& source : config->data)
      for (const fs::path& file : source.files) hash = hash_file(hash, file);
    hash = hash_file(hash, config->base / "config.json");
    for (const auto& entry : std::set<fs::path>(fs::directory_iterator(config->base), {}))
      if (entry.extension() == ".safetensors") hash = hash_file(hash, entry);
  }
  for (const fs::path& file : double_layer_.labels) hash = hash_file(hash, file);
  if (const fs::path tasks = tasks_setting(); fs::is_regular_file(tasks)) hash = hash_file(hash, tasks);
  return hash;
}

void StudyCell::prepare() {
  const FileLock lock(directory_ / "prepare.lock", FileLock::IfHeld::Wait);
  const fs::path done = directory_ / "prepared";
  if (world_) world_->prepare(device_, dtype_);
  if (fs::exists(done)) return;
  if (condition_.size != 1 || condition_.rank_noise != 0) make_records();
  make_labels();
  write_file_atomically(done, "");
}

// The condition's training records: a part of the prompts, some rankings turned round.
void StudyCell::make_records() {
  const train::RunConfig all = world_
                                   ? world_double_layer(world_->directory(), "", condition_.seed)
                                   : load_run(study_, study_.double_layer, "double_layer", condition_.seed);
  AtomicFile out(directory_ / "train.jsonl");
  train::read_run_records(all, [&](const data::PreferenceRecord& record) {
    const uint64_t prompt = data::prompt_hash(record);
    if (data::split_position(prompt, "study size") >= condition_.size) return;
    RandomStream random(condition_.seed, "study rank noise", {hash64(record.id)});
    data::PreferenceRecord kept = record;
    if (random.chance(condition_.rank_noise)) reverse(kept.ranks);
    out.write(data::to_native(kept) + "\n");
  });
  out.commit();
}

// The files of the training records, as [data] reads them: where a table changes what is read, one of
// records.
std::vector<fs::path> StudyCell::label_data() const {
  std::vector<fs::path> files;
  bool plain = true;
  for (const train::DataSource& source : double_layer_.data) {
    files.insert(files.end(), source.files.begin(), source.files.end());
    plain = plain && source.task.empty() && !source.text_as_turn && !source.skip_bad;
  }
  if (plain) return files;
  AtomicFile out(directory_ / "label_records.jsonl");
  train::read_run_records(double_layer_, [&](const data::PreferenceRecord& record) {
    out.write(data::to_native(record) + "\n");
  });
  out.commit();
  return {directory_ / "label_records.jsonl"};
}

// The world's judge answers here; a real study names its labels. The human ranks are made into labels for
// both.
void StudyCell::make_labels() {
  label::LabelRun run;
  run.data = label_data();
  if (const std::string tasks = tasks_setting(); !tasks.empty()) run.tasks = tasks;
  run.options.drop_ties = true;
  run.options.seed = condition_.seed;
  if (world_) {
    run.judge = "world";
    run.out = directory_ / "labels.jsonl";
    label::label_files(run);
  }
  run.judge = "ranks";
  run.out = human_labels();
  label::label_files(run);
}

std::vector<EvaluationSet> StudyCell::evaluations() const {
  if (!world_) return study_.evaluations;
  return {{kWorldTest, {world_->evaluation("test")}, /*pool=*/false}};
}

std::vector<EvaluationSet> StudyCell::pools() const {
  if (!world_) return study_.pools;
  if (study_.world->pool_prompts == 0) return {};
  return {{kWorldPool, {world_->evaluation("pool")}, /*pool=*/true}};
}

train::RunConfig StudyCell::double_layer(const std::string& run) const {
  train::RunConfig config = double_layer_;
  config.out = directory_ / run;
  return config;
}

train::RunConfig StudyCell::single(const std::string& run) const {
  train::RunConfig config = single_;
  config.out = directory_ / run;
  return config;
}

fs::path StudyCell::task_records(const data::TaskPoints& task) const {
  const fs::path path = directory_ / "parts" / (reward::directory_name(task.name) + ".jsonl");
  const FileLock lock(path.string() + ".lock", FileLock::IfHeld::Wait);
  if (fs::exists(path)) return path;
  AtomicFile out(path);
  train::read_run_records(double_layer_, [&](const data::PreferenceRecord& record) {
    if (data::find_task(tasks(), record.task) == &task) out.write(data::to_native(record) + "\n");
  });
  out.commit();
  return path;
}

fs::path StudyCell::make_once(const train::RunConfig& config,
                              const std::function<void(const train::RunOptions&)>& make) const {
  fs::create_directories(config.out);
  const FileLock lock(config.out / "made.lock", FileLock::IfHeld::Wait);
  const fs::path model = config.out / "model";
  if (!fs::exists(model)) make({fs::exists(config.out / "run.json"), device_, dtype_});
  DMOERM_ASSERT(fs::exists(model));
  return model;
}

fs::path StudyCell::train(const train::RunConfig& config) const {
  return make_once(config, [&](const train::RunOptions& options) {
    if (config.kind == "single") {
      train::train_single(config, options);
    } else {
      train::train_double_layer(config, options);
    }
  });
}

fs::path StudyCell::single_member(int64_t member) const {
  train::RunConfig config = single(member == 0 ? "single" : fmt::format("single-{}", member));
  config.seed = hash_combine(config.seed, static_cast<uint64_t>(member));
  if (member == 0) config.seed = condition_.seed;
  return train(config);
}

fs::path StudyCell::dmoerm() const {
  return train(double_layer("dmoerm"));
}

}  // namespace dmoerm::study
