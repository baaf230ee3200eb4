#include "dmoerm/train/pretrain.h"

#include "dmoerm/core/error.h"
#include "dmoerm/core/hash.h"
#include "dmoerm/core/log.h"
#include "dmoerm/core/random.h"
#include "dmoerm/core/runtime.h"
#include "dmoerm/data/split.h"
#include "dmoerm/text/text_reader.h"
#include "dmoerm/train/language_model_objective.h"

namespace dmoerm::train {
namespace {

int64_t positive(Config& table, const std::string& key) {
  const auto value = table.required<int64_t>(key);
  if (value < 1) table.invalid(key, "1 or more");
  return value;
}

nn::DecoderConfig read_model(Config table, std::string& family) {
  nn::DecoderConfig model;
  table.get_choice("family", family, {"llama", "qwen2"});
  model.hidden_size = positive(table, "hidden_size");
  model.num_layers = positive(table, "layers");
  model.num_heads = positive(table, "heads");
  model.intermediate_size = positive(table, "intermediate_size");
  model.num_kv_heads = table.has("kv_heads") ? positive(table, "kv_heads") : model.num_heads;
  if (model.num_heads % model.num_kv_heads != 0)
    table.invalid("kv_heads", fmt::format("a divisor of heads, {}", model.num_heads));
  if (table.has("head_dim")) {
    model.head_dim = positive(table, "head_dim");
    if (model.head_dim % 2 != 0) table.invalid("head_dim", "an even number");
  } else {
    model.head_dim = model.hidden_size / model.num_heads;
    if (model.hidden_size % (2 * model.num_heads) != 0)
      table.invalid("hidden_size",
                    fmt::format("a multiple of twice the heads, {}, or a head_dim", 2 * model.num_heads));
  }
  read_number(table, "rope_theta", model.rotary.theta, {.zero_allowed = false});
  model.tied_embeddings = true;
  table.get("tied_embeddings", model.tied_embeddings);
  model.qkv_bias = family == "qwen2";
  return model;
}

struct Texts {
  TokenDocuments train, held_out;
  uint64_t fingerprint = 0;
};

// Tokenised texts, cut to the sequence length. Raw text is closed by EOS, so that the base learns where texts
// end.
Texts read_texts(const PretrainConfig& config, const text::Tokenizer& tokenizer) {
  const auto format = text::ChatFormat::find(config.chat_format, &tokenizer);
  Texts texts;
  Progress progress("tokenising", 0, "texts");
  for (const data::DocumentSource& source : config.data) {
    data::for_each_document(source, format ? &*format : nullptr, [&](const data::Document& document) {
      std::vector<int32_t> ids = tokenizer.encode_rendered(document.text);
      if (!document.is_chat && tokenizer.eos_id() && (ids.empty() || ids.back() != *tokenizer.eos_id()))
        ids.push_back(*tokenizer.eos_id());
      texts.fingerprint =
          hash_combine(texts.fingerprint,
                       hash64({reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(int32_t)}));
      const bool held_out = data::split_position(document.key, "pretrain") < config.held_out;
      TokenDocuments& part = held_out ? texts.held_out : texts.train;
      const std::span<const int32_t> all(ids);
      for (size_t begin = 0; begin < all.size(); begin += config.sequence_length) {
        const auto piece = all.subspan(begin, std::min<size_t>(config.sequence_length, all.size() - begin));
        if (piece.size() >= 2) part.add(piece);
      }
      progress.advance(1);
    });
  }
  if (texts.train.size() == 0) fail("pretrain", "the data hold no text");
  log().info("{} sequences of {:.1f}M tokens to train on, {} held out", texts.train.size(),
             static_cast<double>(texts.train.tokens.size()) / 1e6, texts.held_out.size());
  return texts;
}

// Normal(0, 0.02) from a counted stream, like the decoder's own weights.
Tensor output_layer(const nn::DecoderConfig& shape, uint64_t seed, torch::TensorOptions options) {
  Tensor weight_VD = torch::empty({shape.vocab_size, shape.hidden_size});
  RandomStream stream(seed, "lm_head");
  float* value = weight_VD.data_ptr<float>();
  for (int64_t i = 0; i < weight_VD.numel(); ++i) value[i] = static_cast<float>(0.02 * stream.normal());
  return weight_VD.to(options);
}

}  // namespace

PretrainConfig parse_pretrain_config(Config config) {
  PretrainConfig run;
  run.settings = config.values();
  run.out = config.required<std::string>("out");
  run.tokenizer = config.required<std::string>("tokenizer");
  config.get("chat_format", run.chat_format);
  text::ChatFormat::check_name(run.chat_format);
  int64_t seed = static_cast<int64_t>(run.seed);
  config.get("seed", seed);
  run.seed = static_cast<uint64_t>(seed);
  run.model = read_model(config.table("model"), run.family);
  for (Config& table : config.tables("data")) {
    data::DocumentSource source;
    source.file = table.required<std::string>("file");
    table.get_choice("unit", source.unit, {"line", "file", "records"});
    if (!table.has("unit") && text::is_jsonl(source.file))
      fail("config", "{} = {}: JSONL needs unit = \"records\"; or say \"line\" to learn JSON itself",
           table.name("file"), source.file.string());
    table.get("max_characters", source.max_characters);
    if (source.max_characters < 0) table.invalid("max_characters", "0 (all) or more");
    run.data.push_back(std::move(source));
  }
  if (run.data.empty()) fail("config", "{}: add at least one [[data]] table with a file", config.name());
  config.get("sequence_length", run.sequence_length);
  if (run.sequence_length < 2) config.invalid("sequence_length", "at least 2");
  config.get("token_budget", run.token_budget);
  if (run.token_budget < 1) config.invalid("token_budget", "a positive number of tokens");
  read_number(config, "held_out", run.held_out, {.most = 1});
  Config train = config.table("train");
  read_train_options(train, run.train);
  config.finish();
  return run;
}

PretrainConfig load_pretrain_config(const std::filesystem::path& path,
                                    const std::vector<std::string>& overrides) {
  return parse_pretrain_config(Config::load(path, overrides));
}

void pretrain(const PretrainConfig& config, const RunOptions& options) {
  RunDirectory run(config.out, options.resume);
  const text::Tokenizer tokenizer = text::Tokenizer::load(config.tokenizer);
  const Texts texts = read_texts(config, tokenizer);
  Json identity = config.settings;
  identity.update({{"(data)", texts.fingerprint}, {"(tokenizer)", tokenizer.fingerprint()}});
  run.begin(identity);

  nn::DecoderConfig shape = config.model;
  shape.vocab_size = tokenizer.vocab_size();
  const auto tensor_options = torch::TensorOptions(options.device).dtype(options.dtype);
  models::Checkpoint base;
  base.family = config.family;
  base.decoder = std::make_shared<nn::Decoder>(shape, config.seed, tensor_options);
  base.head = models::HeadKind::LanguageModel;
  Tensor output;
  if (!shape.tied_embeddings) output = output_layer(shape, config.seed, tensor_options);
  base.lm_weight = shape.tied_embeddings ? base.decoder->weights().at("embed_tokens.weight") : output;
  base.bos_token_id = tokenizer.bos_id();
  base.eos_token_id = tokenizer.eos_id();
  base.pad_token_id = tokenizer.pad_id();

  LanguageModelObjective objective(*base.decoder, output, texts.train, texts.held_out, config.token_budget);
  Trainer(objective, config.train, config.seed, "pretrain", run, measured_matmul_rate(options.device)).run();
  AtomicDirectory directory(config.out / "model");
  models::save_checkpoint(directory.path(), base);
  tokenizer.save(directory.path());
  directory.commit();
}

}  // namespace dmoerm::train
