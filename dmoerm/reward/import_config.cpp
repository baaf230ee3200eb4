// load_import_config(): the parts of a model listed in TOML.
#include "dmoerm/core/config.h"
#include "dmoerm/core/file.h"
#include "dmoerm/reward/import_model.h"
#include "dmoerm/text/chat_format.h"

namespace dmoerm::reward {
namespace {

// One spelling a place, so that a base named twice is loaded and copied once.
std::string place(const std::string& path) {
  return path.empty() ? "" : fs::weakly_canonical(fs::absolute(path)).string();
}

TaskEntry read_task(Config& table, const std::string& shared_base) {
  TaskEntry task;
  task.name = table.required<std::string>("name");
  table.get("aliases", task.aliases);
  task.base = shared_base;
  table.get("base", task.base);
  if (task.base.empty()) table.required<std::string>("base");  // says that it is missing
  task.base = place(task.base);
  for (Config& expert : table.tables("experts"))
    task.experts.push_back(
        {expert.required<std::string>("point"), place(expert.required<std::string>("path"))});
  table.get("aggregator", task.aggregator);
  task.aggregator = place(task.aggregator);
  task.label = kNoLabel;
  table.get("label", task.label);
  if (task.label != kNoLabel && task.label < 0) table.invalid("label", "a row of the base's head, from 0");
  if (task.label != kNoLabel && !task.experts.empty())
    table.invalid("label", "no label where a task has experts, which have heads of their own");
  table.get("sum", task.sum_weights);
  if (!task.aggregator.empty() && !task.sum_weights.empty())
    table.invalid("sum", "either an aggregator or a sum");
  table.get("reward_mean", task.reward_mean);
  table.get("reward_std", task.reward_std);
  return task;
}

RouterEntry read_router(Config table) {
  RouterEntry router;
  router.path = place(table.required<std::string>("path"));
  router.kind = table.required<std::string>("kind");
  table.get_choice("kind", router.kind, {"classifier", "adapter", "head"});
  router.labels = table.required<std::vector<std::string>>("labels");
  return router;
}

// What the parts make.
std::string kind_of(const ModelManifest& parts) {
  for (const auto& task : parts.tasks)
    if (!task.aggregator.empty() || !task.sum_weights.empty()) return "double_layer";
  return parts.tasks.size() == 1 && !parts.router ? "single" : "per_task";
}

}  // namespace

ImportConfig load_import_config(const fs::path& file, const std::vector<std::string>& overrides) {
  Config config = Config::load(file, overrides);
  ImportConfig result;
  ModelManifest& parts = result.parts;
  parts.max_tokens = 1024;
  parts.chat_format = text::ChatFormat::kTemplate;
  std::string base;
  config.get("base", base);
  config.get("tokenizer", result.tokenizer);
  config.get("chat_format", parts.chat_format);
  text::ChatFormat::check_name(parts.chat_format);
  config.get("max_tokens", parts.max_tokens);
  if (parts.max_tokens < 1) config.invalid("max_tokens", "at least 1");
  for (Config& table : config.tables("task")) parts.tasks.push_back(read_task(table, base));
  if (config.has("router")) parts.router = read_router(config.table("router"));
  config.finish();
  if (parts.tasks.empty()) fail(file.string(), "there is no [[task]], expected at least one");
  parts.kind = kind_of(parts);
  return result;
}

}  // namespace dmoerm::reward
