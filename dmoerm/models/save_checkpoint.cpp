#include <algorithm>

#include "dmoerm/core/error.h"
#include "dmoerm/core/file.h"
#include "dmoerm/core/log.h"
#include "dmoerm/models/checkpoint.h"
#include "dmoerm/models/family.h"

namespace dmoerm::models {
namespace {

std::string class_suffix(const Checkpoint& checkpoint) {
  if (checkpoint.head == HeadKind::Score) return "ForSequenceClassification";
  const bool causal =
      checkpoint.head == HeadKind::LanguageModel || checkpoint.decoder->config().tied_embeddings;
  return causal ? "ForCausalLM" : "Model";
}

// Keeps a list that the file had (several closing tokens) as long as it begins with the same id.
void set_token_id(Json& config, const std::string& key, std::optional<int64_t> id) {
  if (!id) {
    config[key] = nullptr;
    return;
  }
  const auto old = config.find(key);
  if (old != config.end() && old->is_array() && !old->empty() && old->front() == *id) return;
  config[key] = *id;
}

void set_labels(Json& config, const Checkpoint& checkpoint) {
  config.erase("num_labels");  // transformers counts id2label
  config["id2label"] = config["label2id"] = Json::object();
  for (int64_t i = 0; i < checkpoint.score_weight.size(0); ++i) {
    const std::string label = checkpoint.labels.empty() ? fmt::format("LABEL_{}", i) : checkpoint.labels[i];
    config["id2label"][std::to_string(i)] = label;
    config["label2id"][label] = i;
  }
}

// The type of the decoder's weights, as transformers calls it.
std::string type_name(const nn::Decoder& decoder) {
  const torch::ScalarType type = decoder.weights().at("embed_tokens.weight").scalar_type();
  if (type == torch::kBFloat16) return "bfloat16";
  return type == torch::kFloat16 ? "float16" : "float32";
}

Json new_config(const Checkpoint& checkpoint) {
  Json config = checkpoint.config.is_object() ? checkpoint.config : Json::object();
  const Family& family = find_family(checkpoint.family, "checkpoint");
  config["model_type"] = checkpoint.family;
  config["architectures"] = {std::string(family.class_prefix) + class_suffix(checkpoint)};
  config["torch_dtype"] = config["dtype"] = type_name(*checkpoint.decoder);
  config.emplace("max_position_embeddings", 4096);
  config.emplace("initializer_range", 0.02);
  config.emplace("use_cache", true);
  family.write_config(checkpoint.decoder->config(), config);
  set_token_id(config, "bos_token_id", checkpoint.bos_token_id);
  set_token_id(config, "eos_token_id", checkpoint.eos_token_id);
  set_token_id(config, "pad_token_id", checkpoint.pad_token_id);
  if (checkpoint.head == HeadKind::Score) set_labels(config, checkpoint);
  return config;
}

// The same decoder with one way to say it.
nn::DecoderConfig normal_form(nn::DecoderConfig config) {
  std::vector<bool> windowed;
  for (int64_t layer = 0; layer < config.num_layers; ++layer) windowed.push_back(config.window_of(layer) > 0);
  if (std::ranges::find(windowed, true) == windowed.end()) config.sliding_window = 0;
  config.windowed_layers = windowed;
  config.rotary_dim = config.rotated_channels();
  if (!config.moe) return config;
  std::vector<bool> sparse;
  for (int64_t layer = 0; layer < config.num_layers; ++layer) sparse.push_back(config.is_sparse(layer));
  config.moe->sparse_layers = sparse;
  return config;
}

// What was written must say what the decoder is, also to a reader that takes what is missing for a default.
void check_config(const Json& json, const nn::DecoderConfig& decoder) {
  ConfigReader config(json, "checkpoint");
  const Family& family = find_family(config.required<std::string>("model_type"), config.where());
  if (normal_form(family.read_config(config)) != normal_form(decoder))
    fail(family.name, "cannot write this decoder: the family has no setting for a part of its shape");
}

void check_head(const Checkpoint& checkpoint) {
  const nn::DecoderConfig& config = checkpoint.decoder->config();
  if (checkpoint.head == HeadKind::Score) {
    DMOERM_ASSERT(checkpoint.score_weight.dim() == 2 &&
                  checkpoint.score_weight.size(1) == config.hidden_size);
    DMOERM_ASSERT(checkpoint.labels.empty() ||
                  static_cast<int64_t>(checkpoint.labels.size()) == checkpoint.score_weight.size(0));
  }
  if (checkpoint.head == HeadKind::LanguageModel && !config.tied_embeddings)
    DMOERM_ASSERT(checkpoint.lm_weight.sizes() ==
                  torch::IntArrayRef({config.vocab_size, config.hidden_size}));
}

// Adds the stored tensors of a canonical weight.
void add_tensors(NamedTensors& tensors, const std::string& prefix, const WeightNames& names,
                 const std::string& weight_name, const Tensor& weight) {
  const auto stored = names.tensors_of(weight_name, weight.sizes().vec());
  const Tensor plain = weight.detach();
  if (stored.size() == 1) {
    tensors.emplace(prefix + stored.front(), plain);
    return;
  }
  const auto num_parts = static_cast<int64_t>(stored.size());
  const Tensor parts = plain.reshape({num_parts, -1, plain.size(-1)});
  for (int64_t i = 0; i < num_parts; ++i) tensors.emplace(prefix + stored[i], parts[i]);
}

}  // namespace

void save_checkpoint(const std::filesystem::path& directory, const Checkpoint& checkpoint) {
  DMOERM_ASSERT(checkpoint.decoder != nullptr);
  check_head(checkpoint);
  const Json config = new_config(checkpoint);
  check_config(config, checkpoint.decoder->config());
  const Family& family = find_family(checkpoint.family, "checkpoint");
  const WeightNames& names = family.names;
  if (checkpoint.head == HeadKind::Score && !family.has_classifier)
    log().warn("{}: transformers has no sequence classifier of {}: only dmoerm can score with it",
               directory.string(), family.class_prefix);
  const std::string prefix(class_suffix(checkpoint) == "Model" ? "" : names.prefix);
  NamedTensors tensors;
  for (const auto& [name, weight] : checkpoint.decoder->weights())
    add_tensors(tensors, prefix, names, name, weight);
  if (checkpoint.head == HeadKind::Score)
    tensors.emplace("score.weight", checkpoint.score_weight.detach().to(torch::kFloat32));
  if (checkpoint.head == HeadKind::LanguageModel && !checkpoint.decoder->config().tied_embeddings)
    tensors.emplace(std::string(names.lm_head), checkpoint.lm_weight.detach().to(torch::kFloat32));
  save_safetensors(directory / "model.safetensors", tensors);
  write_file_atomically(directory / "config.json", dump_json(config, 2) + "\n");
}

}  // namespace dmoerm::models
