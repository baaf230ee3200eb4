#include "dmoerm/reward/export_model.h"

#include <set>

#include "dmoerm/core/file.h"
#include "dmoerm/core/log.h"
#include "dmoerm/models/merge_adapter.h"
#include "dmoerm/text/chat_format.h"
#include "dmoerm/text/tokenizer_settings.h"

namespace dmoerm::reward {
namespace {

const InnerModel& choose_task(const DoubleLayerModel& model, const std::string& task) {
  if (task.empty() && model.tasks.size() == 1) return model.tasks.front();
  if (const InnerModel* inner = model.find(task)) return *inner;
  std::vector<std::string> names;
  for (const auto& inner : model.tasks) names.push_back(inner.task);
  if (task.empty()) fail("export", "the model has several tasks, choose one of: {}", fmt::join(names, ", "));
  fail("export", "the model has no task \"{}\", expected one of: {}", task, fmt::join(names, ", "));
}

const CapabilityExpert& choose_expert(const InnerModel& inner, const std::string& point) {
  if (inner.experts.empty()) fail("export", "task \"{}\" has no experts", inner.task);
  if (point.empty() && inner.experts.size() == 1) return inner.experts.front();
  std::vector<std::string> points;
  for (const auto& expert : inner.experts) {
    if (expert.point == point) return expert;
    points.push_back(expert.point);
  }
  if (point.empty())
    fail("export", "task \"{}\" has several experts, choose one of: {}", inner.task, fmt::join(points, ", "));
  fail("export", "task \"{}\" has no expert \"{}\", expected one of: {}", inner.task, point,
       fmt::join(points, ", "));
}

void refuse_existing(const fs::path& directory) {
  if (fs::exists(directory)) fail("export", "{} exists already", directory.string());
}

// The padding token: the base's own unless it may close a sequence.
std::optional<int32_t> padding_of(const DoubleLayerModel& model, const models::Checkpoint& base) {
  const auto& tokenizer = *model.tokenizer;
  std::set<int32_t> closing;
  if (const auto id = tokenizer.eos_id()) closing.insert(*id);
  if (const auto format = text::ChatFormat::find(model.chat_format, &tokenizer))
    if (const auto end = tokenizer.encode(format->turn_end()); !end.empty()) closing.insert(end.back());
  if (base.eos_token_id) closing.insert(static_cast<int32_t>(*base.eos_token_id));
  const int64_t vocabulary = base.decoder->config().vocab_size;
  if (const auto own = base.pad_token_id;
      own && *own >= 0 && *own < vocabulary && closing.count(static_cast<int32_t>(*own)) == 0)
    return static_cast<int32_t>(*own);
  return text::choose_padding(tokenizer, vocabulary, closing);
}

// Gives the padding token that was written, if any.
std::optional<int64_t> save_tokenizer(const DoubleLayerModel& model, const models::Checkpoint& base,
                                      const fs::path& directory) {
  if (!model.tokenizer) return base.pad_token_id;
  const std::optional<int32_t> padding = padding_of(model, base);
  text::save_tokenizer(directory, *model.tokenizer, {model.chat_format, model.max_tokens, padding});
  return padding;
}

}  // namespace

void export_adapter(const DoubleLayerModel& model, const fs::path& model_directory,
                    const ExpertChoice& choice, const fs::path& directory) {
  const InnerModel& inner = choose_task(model, choice.task);
  models::Adapter adapter = choose_expert(inner, choice.point).adapter;
  adapter.base_model = fs::weakly_canonical(model_directory / inner.base->path).string();
  refuse_existing(directory);
  AtomicDirectory target(directory);
  models::save_adapter(target.path(), adapter);
  save_tokenizer(model, inner.base->checkpoint, target.path());
  target.commit();
}

void export_classifier(const DoubleLayerModel& model, const ExpertChoice& choice, const fs::path& directory) {
  const InnerModel& inner = choose_task(model, choice.task);
  models::Checkpoint merged = inner.base->checkpoint;
  merged.head = models::HeadKind::Score;
  merged.labels.clear();
  if (inner.experts.empty() && choice.point.empty()) {
    merged.score_weight = inner.heads();
  } else {
    const models::Adapter& adapter = choose_expert(inner, choice.point).adapter;
    merged.decoder = std::make_shared<nn::Decoder>(models::merge_adapter(inner.decoder(), adapter.lora));
    for (auto& [name, weight] : merged.decoder->weights())
      weight = weight.to(torch::kFloat32);  // as the merged
    merged.score_weight = adapter.score_weight;
  }
  refuse_existing(directory);
  AtomicDirectory target(directory);
  merged.pad_token_id = save_tokenizer(model, merged, target.path());
  if (!merged.pad_token_id && !model.tokenizer)
    log().warn("{}: no padding token is known, so transformers scores one sequence at a time",
               directory.string());
  models::save_checkpoint(target.path(), merged);
  target.commit();
}

void export_task(const DoubleLayerModel& model, const std::string& task, const fs::path& directory) {
  DoubleLayerModel part = model;
  part.tasks = {choose_task(model, task)};
  part.router.reset();
  InnerModel& inner = part.tasks.front();
  inner.base = std::make_shared<BaseModel>(BaseModel{"base", inner.base->checkpoint});
  part.kind = inner.aggregator || !inner.sum_weights.empty() ? "double_layer" : "single";
  refuse_existing(directory);
  part.save(directory);
}

}  // namespace dmoerm::reward
