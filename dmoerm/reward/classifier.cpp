// load_classifier(): a plain Hugging Face sequence classifier as a model of kind "single".
#include <algorithm>

#include "dmoerm/reward/double_layer_model.h"

namespace dmoerm::reward {
namespace {

constexpr int64_t kDefaultMaxTokens = 1024;  // where neither the model nor its tokenizer says

Json tokenizer_config(const std::filesystem::path& directory) {
  const auto file = directory / "tokenizer_config.json";
  return std::filesystem::exists(file) ? load_json(file) : Json::object();
}

int64_t length_limit(const Json& tokenizer, const Json& model) {
  int64_t limit = 0;
  for (const Json& value :
       {tokenizer.value("model_max_length", Json()), model.value("max_position_embeddings", Json())}) {
    if (!value.is_number() || value.get<double>() < 1 || value.get<double>() > 1e9) continue;  // 1e30: none
    const auto tokens = static_cast<int64_t>(value.get<double>());
    limit = limit == 0 ? tokens : std::min(limit, tokens);
  }
  return limit == 0 ? kDefaultMaxTokens : limit;
}

// Which row of a head with `count` labels is the reward.
int64_t choose_label(const std::filesystem::path& directory, const Tensor& head_CD,
                     std::optional<int64_t> label) {
  const int64_t count = head_CD.size(0);
  if (!label && count > 1)
    fail(directory.string(), "the head has {} labels, choose the one that is the reward with --label 0 … {}",
         count, count - 1);
  if (label && (*label < 0 || *label >= count))
    fail(directory.string(), "label {} was asked for, found {} labels", *label, count);
  return label.value_or(0);
}

}  // namespace

std::filesystem::path tokenizer_directory(const std::filesystem::path& model,
                                          const std::filesystem::path& adapter) {
  return text::Tokenizer::present(adapter) ? adapter : model;
}

DoubleLayerModel load_classifier(const std::filesystem::path& directory, const ClassifierOptions& options,
                                 const models::LoadOptions& load_options) {
  InnerModel inner;
  inner.base = std::make_shared<BaseModel>(BaseModel{".", models::load_checkpoint(directory, load_options)});
  const auto& checkpoint = inner.base->checkpoint;
  if (!options.adapter.empty()) {
    CapabilityExpert expert{"",
                            models::load_adapter(options.adapter, *checkpoint.decoder, checkpoint.names())};
    Tensor& head = expert.adapter.score_weight;
    if (!head.defined())
      fail(options.adapter.string(), "the adapter holds no score head, expected \"score.weight\"");
    head = head.narrow(0, choose_label(options.adapter, head, options.label), 1);
    inner.experts.push_back(std::move(expert));
  } else {
    if (checkpoint.head != models::HeadKind::Score)
      fail(directory.string(), "it has no score head to score with, expected a sequence classifier");
    inner.label = choose_label(directory, checkpoint.score_weight, options.label);
  }

  DoubleLayerModel model;
  model.kind = "single";
  const std::filesystem::path texts = tokenizer_directory(directory, options.adapter);
  if (text::Tokenizer::present(texts)) model.tokenizer = text::Tokenizer::load(texts);
  model.max_tokens = length_limit(tokenizer_config(texts), checkpoint.config);
  model.tasks.push_back(std::move(inner));
  model.check();
  return model;
}

}  // namespace dmoerm::reward
