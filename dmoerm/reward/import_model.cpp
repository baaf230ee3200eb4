#include "dmoerm/reward/import_model.h"

#include <set>

#include "dmoerm/core/file.h"
#include "dmoerm/core/log.h"
#include "dmoerm/models/weight_files.h"
#include "dmoerm/reward/double_layer_model.h"
#include "dmoerm/text/chat_format.h"

namespace dmoerm::reward {
namespace {

// Copies parts into the directory of a model.
class PartCopier {
 public:
  explicit PartCopier(fs::path target) : target_(std::move(target)) {}

  void copy_file(const fs::path& from, const fs::path& to) const {
    fs::create_directories((target_ / to).parent_path());
    fs::copy_file(from, target_ / to);
  }

  void copy_checkpoint(const fs::path& from, const fs::path& to) const {
    copy_file(from / "config.json", to / "config.json");
    for (const auto& file : models::WeightFiles(from).paths()) copy_file(file, to / file.filename());
  }

  // `base`: the path of its base inside the model. Key order is kept: the first pattern that matches counts.
  void copy_adapter(const fs::path& from, const fs::path& to, const fs::path& base) const {
    copy_file(from / "adapter_model.safetensors", to / "adapter_model.safetensors");
    auto config = nlohmann::ordered_json::parse(read_file(from / "adapter_config.json"));
    config["base_model_name_or_path"] = base.lexically_relative(to).generic_string();
    write_file_atomically(target_ / to / "adapter_config.json", config.dump(2) + "\n");
  }

  // Each base once: "base", or "base/<task>" where there are several.
  void copy_bases(std::vector<TaskEntry>& tasks) const {
    std::map<std::string, std::string> places;
    for (const auto& task : tasks) places.emplace(task.base, "base/" + directory_name(task.name));
    if (places.size() == 1) places.begin()->second = "base";
    for (const auto& [from, to] : places) copy_checkpoint(from, to);
    for (auto& task : tasks) task.base = places.at(task.base);
  }

  void copy_task(TaskEntry& task) const {
    const fs::path folder = fs::path("tasks") / directory_name(task.name);
    for (auto& expert : task.experts) {
      const fs::path to = folder / "experts" / directory_name(expert.point);
      copy_adapter(expert.path, to, task.base);
      expert.path = to.generic_string();
    }
    if (task.aggregator.empty()) return;
    const fs::path to = folder / "aggregator.safetensors";
    copy_file(task.aggregator, to);
    task.aggregator = to.generic_string();
  }

  void copy_router(RouterEntry& router, const fs::path& base) const {
    const fs::path from = router.path;
    router.path = "router";
    if (router.kind == "classifier") return copy_checkpoint(from, router.path);
    if (router.kind == "adapter") return copy_adapter(from, router.path, base);
    copy_file(from / "head.safetensors", fs::path(router.path) / "head.safetensors");
  }

 private:
  fs::path target_;
};

// Error when a base's own tokenizer means other tokens by its ids than the one that the model will have. That
// one may have more.
void check_tokenizer(const fs::path& base, const text::Tokenizer& chosen, const fs::path& chosen_path) {
  if (base == chosen_path || !text::Tokenizer::present(base)) return;
  const text::Tokenizer own = text::Tokenizer::load(base);
  if (own.fingerprint() == chosen.fingerprint()) return;
  for (int32_t id = 0; id < own.vocab_size(); ++id)
    if (own.decode({&id, 1}) != chosen.decode({&id, 1}))
      fail(base.string(), "its tokenizer is another than {}: token {} is \"{}\" here and \"{}\" there",
           chosen_path.string(), id, own.decode({&id, 1}), chosen.decode({&id, 1}));
}

// The only row of the base's head, where the config names none.
void choose_label(TaskEntry& task, const models::Checkpoint& base) {
  if (task.label != kNoLabel) return;
  if (task.experts.empty() && base.score_weight.defined() && base.score_weight.size(0) > 1)
    fail(task.base, "the head has {} labels, expected \"label\" to name one for task \"{}\"",
         base.score_weight.size(0), task.name);
  task.label = 0;
}

}  // namespace

void import_model(const ImportConfig& config, const fs::path& directory) {
  if (fs::exists(directory)) fail("import", "{} exists already", directory.string());
  ModelManifest manifest = config.parts;
  fs::path tokenizer_path = config.tokenizer;
  if (tokenizer_path.empty() && text::Tokenizer::present(manifest.tasks.front().base))
    tokenizer_path = manifest.tasks.front().base;
  std::optional<text::Tokenizer> tokenizer;
  if (tokenizer_path.empty()) {
    log().warn("the base has no tokenizer: only token ids can be scored");
  } else {
    tokenizer = text::Tokenizer::load(tokenizer_path);
    if (!text::ChatFormat::find(manifest.chat_format, &*tokenizer))
      fail(tokenizer_path.string(), "found no chat template; {}", text::ChatFormat::how_to_name());
  }
  DoubleLayerModel model = DoubleLayerModel::assemble(manifest, "");
  for (size_t i = 0; i < manifest.tasks.size(); ++i) {
    choose_label(manifest.tasks[i], model.tasks[i].base->checkpoint);
    model.tasks[i].label = manifest.tasks[i].label;
  }
  model.check();  // here errors name the files that were given
  if (tokenizer) {
    std::set<fs::path> checkpoints;
    for (const TaskEntry& task : manifest.tasks) checkpoints.insert(task.base);
    if (manifest.router && manifest.router->kind == "classifier") checkpoints.insert(manifest.router->path);
    for (const fs::path& path : checkpoints) check_tokenizer(path, *tokenizer, tokenizer_path);
  }

  AtomicDirectory target(directory);
  const PartCopier copier(target.path());
  copier.copy_bases(manifest.tasks);
  for (auto& task : manifest.tasks) copier.copy_task(task);
  if (manifest.router) copier.copy_router(*manifest.router, manifest.tasks.front().base);
  if (tokenizer) tokenizer->save(target.path());
  manifest.sha256 = file_digests(target.path());
  write_file_atomically(target.path() / kManifestFile, dump_json(manifest.to_json(), 1) + "\n");
  DoubleLayerModel::load(target.path());
  target.commit();
}

}  // namespace dmoerm::reward
