#include "dmoerm/reward/model_manifest.h"

#include <algorithm>
#include <cstring>

#include "dmoerm/core/config.h"
#include "dmoerm/core/hash.h"

namespace dmoerm::reward {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kFormat = 1;

void check_keys(const Json& object, const std::vector<std::string>& known, const std::string& where) {
  if (!object.is_object()) fail(where, "found {}, expected an object", json_kind(object));
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    const auto near = nearest(key, known);
    fail(where, "\"{}\" is no known key{}", key,
         near.empty() ? "" : fmt::format(", did you mean \"{}\"", near));
  }
}

const Json& list(const Json& object, const std::string& key, const std::string& where) {
  static const Json empty = Json::array();
  const auto field = object.find(key);
  if (field == object.end() || field->is_null()) return empty;
  if (!field->is_array()) fail(where, "\"{}\" is {}, expected a list", key, json_kind(*field));
  return *field;
}

template <typename T>
std::vector<T> values(const Json& object, const std::string& key, const std::string& where) {
  std::vector<T> result;
  for (const auto& item : list(object, key, where)) {
    if (!detail::json_is<T>(item))
      fail(where, "\"{}\" holds {}, expected {}", key, json_kind(item), detail::json_expected<T>());
    result.push_back(item.get<T>());
  }
  return result;
}

TaskEntry read_task(const Json& json, const std::string& where) {
  check_keys(json, {"name", "aliases", "base", "experts", "aggregator", "reward_mean", "reward_std", "label"},
             where);
  TaskEntry task;
  task.name = json_field<std::string>(json, "name", where);
  task.aliases = values<std::string>(json, "aliases", where);
  task.base = json_field<std::string>(json, "base", where);
  task.reward_mean = json_field_or<double>(json, "reward_mean", 0, where);
  task.reward_std = json_field_or<double>(json, "reward_std", 1, where);
  task.label = json_field_or<int64_t>(json, "label", 0, where);
  if (task.label < 0) fail(where, "\"label\" is {}, expected 0 or more", task.label);
  for (const auto& expert : list(json, "experts", where)) {
    check_keys(expert, {"point", "path"}, where + ": experts");
    task.experts.push_back({json_field<std::string>(expert, "point", where + ": experts"),
                            json_field<std::string>(expert, "path", where + ": experts")});
  }
  const auto aggregator = json.find("aggregator");
  if (aggregator == json.end() || aggregator->is_null()) return task;
  if (aggregator->is_object()) {
    check_keys(*aggregator, {"sum"}, where + ": aggregator");
    task.sum_weights = values<double>(*aggregator, "sum", where + ": aggregator");
    if (task.sum_weights.empty()) fail(where, "\"sum\" has no weights, expected one for each expert");
  } else {
    task.aggregator = json_field<std::string>(json, "aggregator", where);
  }
  return task;
}

RouterEntry read_router(const Json& json, const std::string& where) {
  check_keys(json, {"path", "kind", "labels", "top"}, where);
  RouterEntry router{json_field<std::string>(json, "path", where),
                     json_field<std::string>(json, "kind", where), values<std::string>(json, "labels", where),
                     json_field_or<int64_t>(json, "top", 1, where)};
  if (router.kind != "classifier" && router.kind != "adapter" && router.kind != "head")
    fail(where, "\"kind\" is \"{}\", expected \"classifier\", \"adapter\" or \"head\"", router.kind);
  if (router.top < 1 || router.top > std::ssize(router.labels))
    fail(where, "\"top\" is {}, expected 1 to the number of labels, {}", router.top, router.labels.size());
  return router;
}

Json task_json(const TaskEntry& task) {
  Json json = {{"name", task.name},
               {"base", task.base},
               {"experts", Json::array()},
               {"aggregator", nullptr},
               {"reward_mean", task.reward_mean},
               {"reward_std", task.reward_std}};
  if (!task.aliases.empty()) json["aliases"] = task.aliases;
  for (const auto& expert : task.experts)
    json["experts"].push_back({{"point", expert.point}, {"path", expert.path}});
  if (!task.aggregator.empty()) json["aggregator"] = task.aggregator;
  if (task.label > 0) json["label"] = task.label;
  if (!task.sum_weights.empty()) json["aggregator"] = {{"sum", task.sum_weights}};
  return json;
}

}  // namespace

ModelManifest ModelManifest::load(const fs::path& directory) {
  const fs::path file = directory / kManifestFile;
  const std::string where = file.string();
  const Json json = load_json(file);
  if (const auto kind = json_field<std::string>(json, "kind", where); kind == "ensemble" || kind == "gated")
    fail(where, "found a model of kind \"{}\", expected double_layer, per_task or single", kind);
  check_keys(json, {"format", "kind", "chat_format", "max_tokens", "router", "tasks", "sha256"}, where);
  if (const auto format = json_field<int64_t>(json, "format", where); format != kFormat)
    fail(where, "\"format\" is {}, this program reads {}", format, kFormat);

  ModelManifest manifest;
  manifest.kind = json_field<std::string>(json, "kind", where);
  manifest.chat_format = json_field<std::string>(json, "chat_format", where);
  manifest.max_tokens = json_field<int64_t>(json, "max_tokens", where);
  if (manifest.max_tokens < 1) fail(where, "\"max_tokens\" is {}, expected at least 1", manifest.max_tokens);
  if (const auto router = json.find("router"); router != json.end() && !router->is_null())
    manifest.router = read_router(*router, where + ": router");
  for (const auto& task : list(json, "tasks", where))
    manifest.tasks.push_back(read_task(task, fmt::format("{}: tasks[{}]", where, manifest.tasks.size())));
  if (manifest.tasks.empty()) fail(where, "\"tasks\" holds no task, expected at least one");
  if (const auto digests = json.find("sha256"); digests != json.end() && !digests->is_null()) {
    if (!digests->is_object()) fail(where, "\"sha256\" is {}, expected an object", json_kind(*digests));
    for (const auto& [name, digest] : digests->items())
      manifest.sha256[name] = json_field<std::string>(*digests, name, where + ": sha256");
  }
  return manifest;
}

Json ModelManifest::to_json() const {
  Json json = {{"format", kFormat},        {"kind", kind},      {"chat_format", chat_format},
               {"max_tokens", max_tokens}, {"router", nullptr}, {"tasks", Json::array()}};
  if (router)
    json["router"] = {
        {"path", router->path}, {"kind", router->kind}, {"labels", router->labels}, {"top", router->top}};
  for (const auto& task : tasks) json["tasks"].push_back(task_json(task));
  if (!sha256.empty()) json["sha256"] = sha256;
  return json;
}

std::string directory_name(const std::string& name) {
  std::string safe = name.substr(0, 60);
  for (char& c : safe)
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f ||
        std::strchr("/\\:*?\"<>|.", c))
      c = '_';
  return safe == name && !name.empty() ? name : safe + "-" + hash64_hex(name).substr(0, 8);
}

std::map<std::string, std::string> file_digests(const fs::path& directory) {
  std::map<std::string, std::string> digests;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    const auto name = entry.path().lexically_relative(directory).generic_string();
    if (entry.is_regular_file() && name != kManifestFile) digests[name] = sha256_file(entry.path());
  }
  return digests;
}

}  // namespace dmoerm::reward
