// Reading and writing the directory of a DoubleLayerModel.
#include "dmoerm/reward/double_layer_model.h"

#include <c10/util/accumulate.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "dmoerm/core/device_memory.h"
#include "dmoerm/core/file.h"
#include "dmoerm/core/hash.h"
#include "dmoerm/reward/model_manifest.h"

namespace dmoerm::reward {
namespace {

constexpr const char* kRouterPath = "router";

using Bases = std::map<std::string, std::shared_ptr<const BaseModel>>;

// Bytes of the decoder of each base.
std::vector<int64_t> bytes_of_bases(const ModelManifest& manifest, const fs::path& directory,
                                    torch::ScalarType type) {
  std::set<std::string> paths;
  for (const TaskEntry& entry : manifest.tasks) paths.insert(entry.base);
  std::vector<int64_t> bytes;
  for (const std::string& path : paths) {
    bytes.push_back(0);
    for (const auto& [name, shape] : nn::weight_shapes(models::read_decoder_config(directory / path)))
      bytes.back() += c10::multiply_integers(shape) * static_cast<int64_t>(c10::elementSize(type));
  }
  return bytes;
}

// Null when all bases fit the device together, or there is only one. Without a limit the largest may take
// what it needs.
std::shared_ptr<BaseResidency> make_residency(const ModelManifest& manifest, const fs::path& directory,
                                              const models::LoadOptions& options) {
  int64_t memory = options.base_memory;
  if (memory == 0 && options.device.is_cpu()) return nullptr;
  const std::vector<int64_t> bytes = bytes_of_bases(manifest, directory, options.dtype);
  if (memory == 0 && bytes.size() == 1) return nullptr;
  if (memory == 0)
    memory = std::max(free_device_memory(options.device) * 7 / 10, *std::ranges::max_element(bytes));
  if (std::reduce(bytes.begin(), bytes.end()) <= memory) return nullptr;
  return std::make_shared<BaseResidency>(options.device, memory);
}

std::shared_ptr<const BaseModel> load_base(Bases& bases, const fs::path& directory, const std::string& path,
                                           models::LoadOptions options, BaseResidency* residency) {
  auto& base = bases[path];
  if (base) return base;
  const torch::Device device = options.device;
  if (residency) options.device = torch::kCPU;
  BaseModel loaded{path, models::load_checkpoint(directory / path, options)};
  if (residency) {
    residency->add(loaded.checkpoint.decoder);
    Tensor& head = loaded.checkpoint.score_weight;
    if (head.defined()) head = head.to(device);
  }
  base = std::make_shared<BaseModel>(std::move(loaded));
  return base;
}

InnerModel load_task(const TaskEntry& entry, const fs::path& directory, const Bases& bases,
                     const models::LoadOptions& options, BaseResidency* residency) {
  InnerModel inner;
  inner.task = entry.name;
  inner.aliases = entry.aliases;
  inner.base = bases.at(entry.base);
  if (residency) residency->use(inner.decoder());  // its adapters are loaded to where it is
  for (const auto& expert : entry.experts)
    inner.experts.push_back(CapabilityExpert::load(directory / expert.path, expert.point, inner.decoder(),
                                                   inner.base->checkpoint.names()));
  if (!entry.aggregator.empty())
    inner.aggregator =
        Aggregator::load(directory / entry.aggregator, static_cast<int64_t>(entry.experts.size()),
                         inner.decoder().config().hidden_size, options.device);
  inner.sum_weights = entry.sum_weights;
  inner.reward_mean = entry.reward_mean;
  inner.reward_std = entry.reward_std;
  inner.label = entry.label;
  return inner;
}

TaskRouter load_router(const RouterEntry& entry, const fs::path& directory, const Bases& bases,
                       const models::LoadOptions& options) {
  const auto kind = entry.kind == "classifier" ? RouterKind::Classifier
                    : entry.kind == "adapter"  ? RouterKind::Adapter
                                               : RouterKind::Head;
  std::shared_ptr<nn::Decoder> shared;
  models::WeightNames names;
  if (kind != RouterKind::Classifier) {
    if (bases.size() != 1)
      fail((directory / entry.path).string(), "a router of kind \"{}\" needs one shared base, found {}",
           entry.kind, bases.size());
    shared = bases.begin()->second->checkpoint.decoder;
    names = bases.begin()->second->checkpoint.names();
  }
  TaskRouter router = TaskRouter::load(directory / entry.path, kind, entry.labels, shared, options, names);
  router.top = entry.top;
  return router;
}

TaskEntry save_task(const InnerModel& inner, const fs::path& directory) {
  TaskEntry entry{inner.task,        inner.aliases,     inner.base->path, {},         "",
                  inner.sum_weights, inner.reward_mean, inner.reward_std, inner.label};
  const fs::path folder = fs::path("tasks") / directory_name(inner.task);
  for (const auto& expert : inner.experts) {
    const fs::path path = folder / "experts" / directory_name(expert.point);
    models::Adapter adapter = expert.adapter;
    adapter.base_model = fs::path(inner.base->path).lexically_relative(path).generic_string();
    fs::create_directories(directory / path);
    models::save_adapter(directory / path, adapter);
    entry.experts.push_back({expert.point, path.generic_string()});
  }
  if (inner.aggregator) {
    entry.aggregator = (folder / "aggregator.safetensors").generic_string();
    fs::create_directories(directory / folder);
    inner.aggregator->save(directory / entry.aggregator);
  }
  return entry;
}

void save_bases(const std::vector<InnerModel>& tasks, const fs::path& directory) {
  Bases saved;
  for (const auto& inner : tasks) {
    auto& base = saved[inner.base->path];
    DMOERM_ASSERT(!base || base == inner.base);
    if (base) continue;
    base = inner.base;
    fs::create_directories(directory / base->path);
    models::save_checkpoint(directory / base->path, base->checkpoint);
  }
}

}  // namespace

bool is_model_directory(const fs::path& directory) {
  return fs::exists(directory / kManifestFile);
}

DoubleLayerModel DoubleLayerModel::assemble(const ModelManifest& manifest, const fs::path& directory,
                                            const models::LoadOptions& options) {
  DoubleLayerModel model;
  model.kind = manifest.kind;
  model.chat_format = manifest.chat_format;
  model.max_tokens = manifest.max_tokens;
  Bases bases;
  model.residency = make_residency(manifest, directory, options);
  BaseResidency* const residency = model.residency.get();
  for (const auto& entry : manifest.tasks) load_base(bases, directory, entry.base, options, residency);
  for (const auto& entry : manifest.tasks)
    model.tasks.push_back(load_task(entry, directory, bases, options, residency));
  if (manifest.router) model.router = load_router(*manifest.router, directory, bases, options);
  return model;
}

DoubleLayerModel DoubleLayerModel::load(const fs::path& directory, const models::LoadOptions& options) {
  const auto manifest = ModelManifest::load(directory);
  const std::string where = (directory / kManifestFile).string();
  for (const auto& [file, digest] : manifest.sha256)
    if (!fs::is_regular_file(directory / file)) fail(where, "the file \"{}\" of the model is missing", file);

  DoubleLayerModel model = assemble(manifest, directory, options);
  if (text::Tokenizer::present(directory)) model.tokenizer = text::Tokenizer::load(directory);
  try {
    model.check();
  } catch (const Error& error) {
    throw Error(fmt::format("[{}] {}", where, error.what()));
  }
  return model;
}

void DoubleLayerModel::save(const fs::path& directory) const {
  check();
  AtomicDirectory target(directory);
  ModelManifest manifest{kind, chat_format, max_tokens, {}, {}, {}};
  save_bases(tasks, target.path());
  for (const auto& inner : tasks) manifest.tasks.push_back(save_task(inner, target.path()));
  if (router) {
    const auto base = fs::path(tasks.front().base->path).lexically_relative(kRouterPath);
    router->save(target.path() / kRouterPath, base.generic_string());
    manifest.router = {kRouterPath, router_kind_name(router->kind), router->labels, router->top};
  }
  if (tokenizer) tokenizer->save(target.path());
  manifest.sha256 = file_digests(target.path());
  write_file_atomically(target.path() / kManifestFile, dump_json(manifest.to_json(), 1) + "\n");
  target.commit();
}

std::vector<std::string> changed_files(const fs::path& directory) {
  if (!is_model_directory(directory))
    fail(directory.string(), "there is no {}, which lists the digests", kManifestFile);
  const auto manifest = ModelManifest::load(directory);
  if (manifest.sha256.empty()) fail((directory / kManifestFile).string(), "lists no digests (\"sha256\")");
  std::vector<std::string> changed;
  for (const auto& [file, digest] : manifest.sha256) {
    if (!fs::is_regular_file(directory / file))
      changed.push_back(file + ": missing");
    else if (sha256_file(directory / file) != digest)
      changed.push_back(file + ": its digest differs");
  }
  return changed;
}

}  // namespace dmoerm::reward
