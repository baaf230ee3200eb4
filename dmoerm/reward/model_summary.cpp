#include "dmoerm/reward/model_summary.h"

#include <set>

#include "dmoerm/data/prompt_group.h"

namespace dmoerm::reward {
namespace {

int64_t count(const NamedTensors& tensors) {
  int64_t sum = 0;
  for (const auto& [name, tensor] : tensors) sum += tensor.numel();
  return sum;
}

int64_t count(const Tensor& tensor) {
  return tensor.defined() ? tensor.numel() : 0;
}

int64_t count(const models::Adapter& adapter) {
  int64_t sum = count(adapter.score_weight);
  for (const auto& [name, pair] : adapter.lora.pairs) sum += pair.a.numel() + pair.b.numel();
  return sum;
}

int64_t count(const models::Checkpoint& checkpoint) {
  return count(checkpoint.decoder->weights()) + count(checkpoint.score_weight);
}

int64_t count(const TaskRouter& router) {
  if (router.own) return count(*router.own);
  return router.adapter ? count(*router.adapter) : count(router.head_CD);
}

Json base_json(const BaseModel& base) {
  const auto& config = base.checkpoint.decoder->config();
  return {{"path", base.path},
          {"family", base.checkpoint.family},
          {"layers", config.num_layers},
          {"width", config.hidden_size},
          {"vocabulary", config.vocab_size},
          {"parameters", count(base.checkpoint)}};
}

Json expert_json(const CapabilityExpert& expert) {
  const auto& adapter = expert.adapter;
  return {{"point", expert.point},
          {"rank", adapter.options.rank},
          {"alpha", adapter.options.alpha},
          {"layers", adapter.lora.pairs.size()},
          {"parameters", count(adapter)}};
}

Json task_json(const InnerModel& inner) {
  Json json = {{"name", inner.task},
               {"aliases", inner.aliases},
               {"base", inner.base->path},
               {"experts", Json::array()},
               {"aggregator", nullptr},
               {"reward_mean", inner.reward_mean},
               {"reward_std", inner.reward_std}};
  for (const auto& expert : inner.experts) json["experts"].push_back(expert_json(expert));
  if (!inner.sum_weights.empty()) json["aggregator"] = {{"sum", inner.sum_weights}};
  if (inner.aggregator)
    json["aggregator"] = {
        {"shape",
         {inner.aggregator->num_experts() * inner.aggregator->width(), inner.aggregator->width(), 1}},
        {"parameters", count(inner.aggregator->parameters())}};
  return json;
}

std::string aggregator_text(const Json& aggregator) {
  if (aggregator.is_null()) return "no aggregator";
  if (aggregator.contains("sum")) return "sum " + aggregator["sum"].dump();
  return fmt::format("aggregator {} ({} parameters)", aggregator["shape"].dump(),
                     aggregator["parameters"].get<int64_t>());
}

// Also of a model whose template cannot be run: looking into it must not fail.
std::string chat_format_description(const DoubleLayerModel& model) {
  try {
    return data::GroupEncoder(model.tokenizer, {.chat_format = model.chat_format}).chat_format_description();
  } catch (const Error& error) {
    return fmt::format("unusable ({})", error.what());
  }
}

}  // namespace

Json summarize(const DoubleLayerModel& model) {
  Json json = {{"kind", model.kind},    {"chat_format", model.chat_format}, {"max_tokens", model.max_tokens},
               {"vocabulary", nullptr}, {"bases", Json::array()},           {"router", nullptr},
               {"tasks", Json::array()}};
  if (model.tokenizer) json["vocabulary"] = model.tokenizer->vocab_size();
  json["chat_format_description"] = chat_format_description(model);
  int64_t parameters = 0;
  std::set<const BaseModel*> bases;
  for (const auto& inner : model.tasks) {
    if (bases.insert(inner.base.get()).second) {
      json["bases"].push_back(base_json(*inner.base));
      parameters += count(inner.base->checkpoint);
    }
    for (const auto& expert : inner.experts) parameters += count(expert.adapter);
    if (inner.aggregator) parameters += count(inner.aggregator->parameters());
    json["tasks"].push_back(task_json(inner));
  }
  if (model.router) {
    json["router"] = {{"kind", router_kind_name(model.router->kind)},
                      {"labels", model.router->labels},
                      {"parameters", count(*model.router)}};
    parameters += count(*model.router);
  }
  json["parameters"] = parameters;
  return json;
}

std::string summary_text(const Json& summary) {
  std::string text = fmt::format(
      "{}: {} parameters, chat format {}, up to {} tokens, {}\n", summary["kind"].get<std::string>(),
      summary["parameters"].get<int64_t>(), summary["chat_format_description"].get<std::string>(),
      summary["max_tokens"].get<int64_t>(),
      summary["vocabulary"].is_null() ? "no tokenizer" : "vocabulary " + summary["vocabulary"].dump());
  for (const auto& base : summary["bases"])
    text +=
        fmt::format("base {}: {}, {} layers, width {}, vocabulary {}, {} parameters\n",
                    base["path"].get<std::string>(), base["family"].get<std::string>(), base["layers"].dump(),
                    base["width"].dump(), base["vocabulary"].dump(), base["parameters"].dump());
  if (const auto& router = summary["router"]; router.is_null())
    text += "no router\n";
  else
    text += fmt::format("router: {}, {} parameters, labels {}\n", router["kind"].get<std::string>(),
                        router["parameters"].dump(),
                        fmt::join(router["labels"].get<std::vector<std::string>>(), ", "));
  for (const auto& task : summary["tasks"]) {
    const auto name = task["name"].get<std::string>();
    text +=
        fmt::format("task {}: base {}, {}, mean {:.4g}, deviation {:.4g}\n", name.empty() ? "(any)" : name,
                    task["base"].get<std::string>(), aggregator_text(task["aggregator"]),
                    task["reward_mean"].get<double>(), task["reward_std"].get<double>());
    if (!task["aliases"].empty())
      text +=
          fmt::format("  also called {}\n", fmt::join(task["aliases"].get<std::vector<std::string>>(), ", "));
    for (const auto& expert : task["experts"])
      text += fmt::format("  expert {}: rank {}, alpha {}, {} layers, {} parameters\n",
                          expert["point"].get<std::string>(), expert["rank"].dump(), expert["alpha"].dump(),
                          expert["layers"].dump(), expert["parameters"].dump());
  }
  return text;
}

}  // namespace dmoerm::reward
