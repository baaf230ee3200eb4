// The whole reward model as a directory: router, tasks, experts, aggregators (docs: dmoerm.json, format 1).
// Kinds: "double_layer"; "per_task" (a model or an adapter a task); "single" (one task, no router).
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dmoerm/reward/base_residency.h"
#include "dmoerm/reward/inner_model.h"
#include "dmoerm/reward/task_router.h"
#include "dmoerm/text/chat_format.h"
#include "dmoerm/text/tokenizer.h"

namespace dmoerm::reward {

struct ModelManifest;  // model_manifest.h

struct DoubleLayerModel {
  std::string kind = "double_layer";
  std::string chat_format = text::ChatFormat::kTemplate;  // or a named format
  int64_t max_tokens = 1024;
  std::optional<text::Tokenizer> tokenizer;  // absent: only token ids can be scored
  std::optional<TaskRouter> router;
  std::vector<InnerModel> tasks;
  std::shared_ptr<BaseResidency> residency;  // of the tasks' bases; null: all are on the device

  // The inner model of a task's name or alias; null when it is unknown.
  const InnerModel* find(const std::string& task) const;
  // That of records which name a task: "*" takes every name that no other has. Null for "" and where there is
  // none.
  const InnerModel* find_for_records(const std::string& task) const;

  // Checks structure, shapes, names and counts; Error names file and part. Every file that the digests list
  // must be there; the digests themselves are compared by changed_files().
  static DoubleLayerModel load(const std::filesystem::path& directory,
                               const models::LoadOptions& options = {});
  // From the parts that a manifest names, as seen from `directory`; without the tokenizer, and unchecked.
  static DoubleLayerModel assemble(const ModelManifest& manifest, const std::filesystem::path& directory,
                                   const models::LoadOptions& options = {});
  // Writes everything atomically, with digests; an older model in its place is replaced.
  void save(const std::filesystem::path& directory) const;
  // Error, naming the part, when the parts do not fit the kind or each other.
  void check() const;
};

bool is_model_directory(const std::filesystem::path& directory);  // holds dmoerm.json

// Files whose digest differs from the one in dmoerm.json, each as "NAME: what is wrong"; Error when it lists
// none.
std::vector<std::string> changed_files(const std::filesystem::path& directory);

// Where a classifier's tokenizer, chat template and length limit are: in the adapter's folder, which may hold
// those that it was trained with, else in the model's.
std::filesystem::path tokenizer_directory(const std::filesystem::path& model,
                                          const std::filesystem::path& adapter);

// A plain Hugging Face sequence classifier, with an optional PEFT adapter over it, as a model of kind
// "single" whose one task is "". The chat format and the length limit come from its files.
struct ClassifierOptions {
  std::filesystem::path adapter;
  std::optional<int64_t> label;  // needed when the head has several
};
DoubleLayerModel load_classifier(const std::filesystem::path& directory, const ClassifierOptions& options,
                                 const models::LoadOptions& load_options = {});

}  // namespace dmoerm::reward
