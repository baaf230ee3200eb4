#include "dmoerm/core/log.h"
#include "dmoerm/models/checkpoint.h"
#include "dmoerm/models/family.h"
#include "dmoerm/models/weight_files.h"

#include <fmt/ranges.h>

namespace dmoerm::models {
namespace {

namespace fs = std::filesystem;

// Settings of transformers that change no number here, those of generation in old files among them. What a
// family's class does not know either is named in a warning; what changes numbers is read or refused before.
void ignore_harmless(ConfigReader& config) {
  config.ignore({"architectures",
                 "model_type",
                 "torch_dtype",
                 "dtype",
                 "transformers_version",
                 "use_cache",
                 "initializer_range",
                 "max_position_embeddings",
                 "_name_or_path",
                 "auto_map",
                 "problem_type",
                 "output_attentions",
                 "output_hidden_states",
                 "return_dict",
                 "torchscript",
                 "is_decoder",
                 "tokenizer_class",
                 "finetuning_task",
                 "attn_implementation",
                 "_attn_implementation",
                 "_attn_implementation_autoset",
                 "label2id",
                 "chunk_size_feed_forward",
                 "sep_token_id",
                 "max_length",
                 "temperature",
                 "top_k",
                 "top_p",
                 "do_sample",
                 "repetition_penalty",
                 "num_beams",
                 "num_beam_groups",
                 "num_return_sequences",
                 "length_penalty",
                 "typical_p",
                 "experts_implementation",
                 "unsloth_version",
                 "unsloth_fixed"});
}

std::optional<int64_t> read_token_id(ConfigReader& config, const std::string& key) {
  const Json& value = config.raw(key);
  if (value.is_null()) return std::nullopt;
  const Json& id = value.is_array() && !value.empty() ? value.front() : value;
  if (!id.is_number_integer())
    fail(config.where(), "\"{}\" is {}, expected a whole number", key, json_kind(value));
  return id.get<int64_t>() < 0 ? std::nullopt : std::optional(id.get<int64_t>());
}

// id2label, or num_labels names, or the two that transformers assumes.
std::vector<std::string> read_labels(ConfigReader& config) {
  const Json& names = config.raw("id2label");
  const auto named = names.is_object() ? static_cast<int64_t>(names.size()) : int64_t{2};
  const int64_t count = config.get("num_labels", named);
  if (count < 1 || count > 1 << 20) fail(config.where(), "num_labels is {}, expected at least 1", count);
  std::vector<std::string> labels;
  for (int64_t i = 0; i < count; ++i) {
    const std::string fallback = fmt::format("LABEL_{}", i);
    const bool use_names = names.is_object() && named == count;
    labels.push_back(use_names
                         ? json_field<std::string>(names, std::to_string(i), config.where() + ": id2label")
                         : fallback);
  }
  return labels;
}

HeadKind head_of(const Family& family, ConfigReader& config, const WeightFiles& files, bool tied) {
  const bool has_lm_head = files.contains(std::string(family.names.lm_head));
  const Json& classes = config.raw("architectures");
  if (!classes.is_array() || classes.empty()) {
    if (files.contains("score.weight")) return HeadKind::Score;
    return tied || has_lm_head ? HeadKind::LanguageModel : HeadKind::None;
  }
  const std::string prefix(family.class_prefix);
  if (classes.front() == prefix + "ForSequenceClassification") return HeadKind::Score;
  if (classes.front() == prefix + "ForCausalLM") return HeadKind::LanguageModel;
  if (classes.front() == prefix + "Model") return HeadKind::None;
  fail(config.where(), "architecture {} is not supported: expected {}", classes.front().dump(),
       fmt::join({prefix + "ForSequenceClassification", prefix + "ForCausalLM", prefix + "Model"}, ", "));
}

// A release may also store a weight under its canonical name: experts as one stack, as transformers 5 holds
// them.
std::vector<std::string> tensors_in(const WeightFiles& files, const WeightNames& names,
                                    const std::string& weight, const std::vector<int64_t>& shape) {
  const std::string prefix(files.any_begins_with(names.prefix) ? names.prefix : "");
  std::vector<std::string> tensors = names.tensors_of(weight, shape);
  for (std::string& tensor : tensors) tensor = prefix + tensor;
  const bool canonical = !files.contains(tensors.front()) && files.contains(prefix + weight);
  return canonical ? std::vector{prefix + weight} : tensors;
}

// Layers behind the last that predict further tokens: transformers leaves them out as well.
std::vector<std::string> further_layers(ConfigReader& config, const WeightNames& names, int64_t num_layers) {
  const auto count = config.get("num_nextn_predict_layers", config.get<int64_t>("num_mtp_layers", 0));
  std::vector<std::string> prefixes;
  for (int64_t i = 0; i < std::min<int64_t>(count, 16); ++i)
    prefixes.push_back(fmt::format("{}layers.{}.", names.prefix, num_layers + i));
  return prefixes;
}

Tensor read_lm_weight(WeightFiles& files, const std::string& name, const nn::Decoder& decoder,
                      const torch::TensorOptions& options) {
  const nn::DecoderConfig& config = decoder.config();
  const Tensor& embedding = decoder.weights().at("embed_tokens.weight");
  if (config.tied_embeddings && !files.contains(name)) return embedding;
  const Tensor weight = files.take({name}, {config.vocab_size, config.hidden_size}, options);
  if (!config.tied_embeddings) return weight;
  if (!torch::equal(weight, embedding))
    fail(name, "differs from the embedding although tie_word_embeddings is true");
  return embedding;
}

}  // namespace

const WeightNames& Checkpoint::names() const {
  return find_family(family, "checkpoint").names;
}

nn::DecoderConfig read_decoder_config(const fs::path& path) {
  const fs::path file = fs::is_directory(path) ? path / "config.json" : path;
  ConfigReader config(load_json(file), file.string());
  return find_family(config.required<std::string>("model_type"), config.where()).read_config(config);
}

Checkpoint load_checkpoint(const fs::path& directory, const LoadOptions& options) {
  const fs::path config_path = directory / "config.json";
  if (!fs::exists(config_path) && fs::exists(directory / "adapter_config.json"))
    fail(
        directory.string(),
        "found an adapter, expected a model: give its base as the model and this as the adapter (--adapter)");
  Checkpoint result;
  result.config = load_json(config_path);
  ConfigReader config(result.config, config_path.string());
  result.family = config.required<std::string>("model_type");
  const Family& family = find_family(result.family, config.where());
  const nn::DecoderConfig shape = family.read_config(config);
  result.bos_token_id = read_token_id(config, "bos_token_id");
  result.eos_token_id = read_token_id(config, "eos_token_id");
  result.pad_token_id = read_token_id(config, "pad_token_id");
  const std::vector<std::string> labels = read_labels(config);
  ignore_harmless(config);
  config.ignore({"num_nextn_predict_layers", "num_mtp_layers"});
  if (const auto unknown = config.unknown(); !unknown.empty())
    log().warn("{}: settings that are not known are ignored: {}", config.where(), fmt::join(unknown, ", "));

  WeightFiles files(directory);
  result.head = head_of(family, config, files, shape.tied_embeddings);
  const auto tensor_options = torch::TensorOptions(options.dtype).device(options.device);
  NamedTensors weights;
  for (const auto& [name, size] : nn::weight_shapes(shape)) {
    // What is added to the router's float32 scores is not rounded.
    const bool exact = name.ends_with(nn::kCorrectionBias);
    weights.emplace(name, files.take(tensors_in(files, family.names, name, size), size,
                                     exact ? tensor_options.dtype(torch::kFloat32) : tensor_options));
  }
  result.decoder = std::make_shared<nn::Decoder>(shape, std::move(weights));
  if (result.head == HeadKind::Score) {
    result.labels = labels;
    result.score_weight =
        files.take({"score.weight"}, {static_cast<int64_t>(labels.size()), shape.hidden_size},
                   tensor_options.dtype(torch::kFloat32));
  }
  if (result.head == HeadKind::LanguageModel)
    result.lm_weight =
        read_lm_weight(files, std::string(family.names.lm_head), *result.decoder, tensor_options);
  files.finish(family.names.unused_suffixes, further_layers(config, family.names, shape.num_layers));
  return result;
}

}  // namespace dmoerm::models
