// Model directories: save and load, the spellings of config.json, and damage of every kind.
#include <fstream>

#include "tests/models/model_fixtures.h"

namespace dmoerm::models {
namespace {

using testing::AllOf;
using testing::HasSubstr;

void expect_same_model(const Checkpoint& actual, const Checkpoint& expected) {
  EXPECT_EQ(actual.head, expected.head);
  EXPECT_EQ(actual.labels, expected.labels);
  EXPECT_EQ(actual.pad_token_id, expected.pad_token_id);
  EXPECT_EQ(actual.bos_token_id, expected.bos_token_id);
  ASSERT_EQ(actual.decoder->weights().size(), expected.decoder->weights().size());
  for (const auto& [name, weight] : expected.decoder->weights())
    EXPECT_TRUE(torch::equal(actual.decoder->weights().at(name), weight)) << name;
  if (expected.head == HeadKind::Score) {
    EXPECT_TRUE(torch::equal(actual.score_weight, expected.score_weight));
  }
  if (expected.head == HeadKind::LanguageModel) {
    EXPECT_TRUE(torch::equal(actual.lm_weight, expected.lm_weight));
  }
  torch::NoGradGuard no_grad;
  const nn::Batch batch = packed({{1, 5, 9, 33, 7}, {4}});
  EXPECT_TRUE(torch::equal(actual.decoder->last_hidden(batch), expected.decoder->last_hidden(batch)));
}

TEST(Checkpoint, SavedAndLoadedIsIdentical) {
  for (const char* name : kFixtures) {
    SCOPED_TRACE(name);
    const Checkpoint model = load_checkpoint(fixture(name));
    TemporaryDirectory directory;
    save_checkpoint(directory.path(), model);
    expect_same_model(load_checkpoint(directory.path()), model);
  }
}

Checkpoint new_model(const std::string& family, HeadKind head) {
  nn::DecoderConfig config;
  config.vocab_size = 50;
  config.hidden_size = 16;
  config.intermediate_size = 24;
  config.num_layers = 3;
  config.num_heads = 2;
  config.num_kv_heads = 1;
  config.head_dim = 12;
  if (family == "qwen2") {
    config.qkv_bias = true;
    config.sliding_window = 4;
    config.windowed_layers = {false, true, true};
  } else {
    config.rotary = {"linear", 5000, 2.5};
    config.mlp_bias = true;
    config.activation = "gelu_new";
  }
  Checkpoint model;
  model.family = family;
  model.decoder = std::make_shared<nn::Decoder>(config, 3);
  model.head = head;
  if (head == HeadKind::Score) {
    model.score_weight = torch::randn({2, 16});
    model.labels = {"good", "bad ☹"};
  }
  if (head == HeadKind::LanguageModel) model.lm_weight = torch::randn({50, 16});
  model.pad_token_id = 3;
  return model;
}

TEST(Checkpoint, NewModelsOfEveryKindAreSavedAndLoaded) {
  for (const char* family : {"llama", "qwen2"})
    for (const HeadKind head : {HeadKind::None, HeadKind::Score, HeadKind::LanguageModel}) {
      SCOPED_TRACE(fmt::format("{} {}", family, static_cast<int>(head)));
      const Checkpoint model = new_model(family, head);
      TemporaryDirectory directory;
      save_checkpoint(directory.path(), model);
      const Checkpoint loaded = load_checkpoint(directory.path());
      expect_same_model(loaded, model);
      EXPECT_EQ(loaded.decoder->config().windowed_layers, model.decoder->config().windowed_layers);
      EXPECT_EQ(loaded.eos_token_id, std::nullopt);
    }
}

TEST(Checkpoint, BaseOfACausalModelBecomesAClassifier) {
  Checkpoint model = load_checkpoint(fixture("qwen2-lm"));
  model.head = HeadKind::Score;
  model.score_weight = torch::randn({1, 64});
  TemporaryDirectory directory;
  save_checkpoint(directory.path(), model);
  const Json config = load_json(directory.path() / "config.json");
  EXPECT_EQ(config["architectures"][0], "Qwen2ForSequenceClassification");
  EXPECT_EQ(config["id2label"]["0"], "LABEL_0");
  EXPECT_EQ(config["pad_token_id"], 0);
  EXPECT_EQ(config["dtype"], "float32");
  const Checkpoint loaded = load_checkpoint(directory.path());
  EXPECT_TRUE(torch::equal(loaded.score_weight, model.score_weight));
  const std::vector<std::string> names = SafeTensors(directory.path() / "model.safetensors").names();
  EXPECT_THAT(names, testing::Contains("score.weight"));
  EXPECT_THAT(names, testing::Not(testing::Contains("lm_head.weight")));
}

TEST(Checkpoint, KeepsTheTypeOfItsWeights) {
  for (const auto& [type, name] : {std::pair{torch::kBFloat16, "bfloat16"},
                                   {torch::kFloat16, "float16"},
                                   {torch::kFloat32, "float32"}}) {
    const Checkpoint model = load_checkpoint(fixture("llama-seq"), {torch::kCPU, type});
    TemporaryDirectory directory;
    save_checkpoint(directory.path(), model);
    EXPECT_EQ(load_json(directory.path() / "config.json")["dtype"], name);
    const SafeTensors tensors(directory.path() / "model.safetensors");
    EXPECT_EQ(tensors.tensor("model.embed_tokens.weight").scalar_type(), type);
    EXPECT_EQ(tensors.tensor("score.weight").scalar_type(), torch::kFloat32);
    const Checkpoint loaded = load_checkpoint(directory.path(), {torch::kCPU, type});
    for (const auto& [weight, value] : model.decoder->weights())
      EXPECT_TRUE(torch::equal(loaded.decoder->weights().at(weight), value)) << weight;
    EXPECT_TRUE(torch::equal(loaded.score_weight, model.score_weight));
  }
}

// The keys of transformers 4 and 5 give the same decoder.
TEST(Checkpoint, ReadsOldAndNewSpellings) {
  const auto with = [](auto change) {
    TemporaryDirectory directory(fixture("llama_rope_llama3-seq"));
    edit_json(directory.path() / "config.json", change);
    return load_checkpoint(directory.path());
  };
  const Checkpoint expected = load_checkpoint(fixture("llama_rope_llama3-seq"));
  expect_same_model(with([](Json& config) {
                      Json rope = config["rope_parameters"];
                      config["rope_theta"] = rope["rope_theta"];
                      rope.erase("rope_theta");
                      config["rope_scaling"] = rope;
                      config.erase("rope_parameters");
                      config["torch_dtype"] = config["dtype"];
                      config.erase("dtype");
                      config.erase("id2label");
                      config["num_labels"] = 1;
                      config["eos_token_id"] = {2, 5};
                      config["pretraining_tp"] = 2;
                    }),
                    expected);
  expect_same_model(with([](Json& config) {  // "type" for "rope_type"; null in place of a default
                      config["rope_parameters"]["type"] = "llama3";
                      config["rope_parameters"].erase("rope_type");
                      config["attention_bias"] = nullptr;
                      config["architectures"] = nullptr;
                    }),
                    expected);
  TemporaryDirectory plain(fixture("llama-seq"));
  edit_json(plain.path() / "config.json", [](Json& config) {
    config.erase("rope_parameters");
    config["rope_scaling"] = nullptr;
    config["head_dim"] = nullptr;
    config.erase("num_key_value_heads");
    config.erase("mlp_bias");
  });
  expect_same_model(load_checkpoint(plain.path()), load_checkpoint(fixture("llama-seq")));
}

TEST(Checkpoint, ReadsTheSlidingWindowOfQwen2) {
  const auto with = [](auto change) {
    TemporaryDirectory directory(fixture("qwen2-seq"));
    edit_json(directory.path() / "config.json", change);
    return load_checkpoint(directory.path()).decoder->config();
  };
  const auto old_spelling = with([](Json& config) {
    config.erase("layer_types");
    config["use_sliding_window"] = true;
    config["sliding_window"] = 8;
    config["max_window_layers"] = 1;
  });
  EXPECT_EQ(old_spelling.sliding_window, 8);
  EXPECT_EQ(old_spelling.windowed_layers, (std::vector<bool>{false, true}));
  const auto new_spelling = with([](Json& config) {
    config["layer_types"] = {"sliding_attention", "full_attention"};
    config["use_sliding_window"] = true;
    config["sliding_window"] = 8;
  });
  EXPECT_EQ(new_spelling.windowed_layers, (std::vector<bool>{true, false}));
  const auto off = with([](Json& config) {
    config.erase("layer_types");
    config["sliding_window"] = 8;
    config["max_window_layers"] = 0;
  });
  EXPECT_EQ(off.sliding_window, 0);
  EXPECT_THAT(error_of([&] {
                with([](Json& c) { c["layer_types"] = {"chunked_attention", "full_attention"}; });
              }),
              HasSubstr("layer type \"chunked_attention\""));
  EXPECT_THAT(error_of([&] {
                with([](Json& c) { c["layer_types"] = {"sliding_attention", "full_attention"}; });
              }),
              HasSubstr("use_sliding_window"));
}

TEST(Checkpoint, AcceptsTensorsThatAFamilyListsAsUnused) {
  TemporaryDirectory directory(fixture("llama-seq"));
  edit_tensors(directory.path() / "model.safetensors", [](NamedTensors& tensors) {
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch::ones({8});
  });
  expect_same_model(load_checkpoint(directory.path()), load_checkpoint(fixture("llama-seq")));
}

TEST(Checkpoint, TiedHeadMayBeStoredWhenItIsTheEmbedding) {
  TemporaryDirectory directory(fixture("llama-lm"));
  edit_json(directory.path() / "config.json", [](Json& config) { config["tie_word_embeddings"] = true; });
  EXPECT_THAT(error_of([&] { load_checkpoint(directory.path()); }), HasSubstr("differs from the embedding"));
  edit_tensors(directory.path() / "model.safetensors", [](NamedTensors& tensors) {
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"];
  });
  EXPECT_EQ(load_checkpoint(directory.path()).head, HeadKind::LanguageModel);
}

// What load_checkpoint() says of a copy of `name` after `damage` was done to it.
template <typename Damage>
std::string error_after(const std::string& name, Damage damage) {
  TemporaryDirectory directory(fixture(name));
  damage(directory.path());
  const std::string error = error_of([&] { load_checkpoint(directory.path()); });
  EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  return error;
}

TEST(DamagedCheckpoint, Configuration) {
  const auto error_with = [](auto change) {
    return error_after("llama-seq", [&](const fs::path& path) { edit_json(path / "config.json", change); });
  };
  for (const char* key : {"model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                          "num_attention_heads"}) {
    EXPECT_THAT(error_with([&](Json& c) { c.erase(key); }), AllOf(HasSubstr(key), HasSubstr("is missing")));
    EXPECT_THAT(error_with([&](Json& c) { c[key] = {1, 2}; }), AllOf(HasSubstr(key), HasSubstr("a list")));
  }
  EXPECT_THAT(error_with([](Json& c) { c["model_type"] = "gpt3"; }),
              AllOf(HasSubstr("\"gpt3\" is not a known family"),
                    HasSubstr("llama, mistral, mixtral, olmoe, qwen2,")));
  EXPECT_THAT(error_with([](Json& c) { c["hidden_size"] = 64.5; }), HasSubstr("a fraction"));
  EXPECT_THAT(error_with([](Json& c) { c["rms_norm_eps"] = "small"; }),
              HasSubstr("\"rms_norm_eps\" is a string"));
  EXPECT_THAT(error_with([](Json& c) { c["num_hidden_layers"] = 1'000'000'000'000; }),
              HasSubstr("1000000000000"));
  EXPECT_THAT(error_with([](Json& c) { c["num_hidden_layers"] = 3; }), HasSubstr("tensor model.layers.2."));
  EXPECT_THAT(error_with([](Json& c) { c["num_hidden_layers"] = 1; }), HasSubstr("have no place"));
  EXPECT_THAT(error_with([](Json& c) { c["num_attention_heads"] = 0; }), HasSubstr("attention heads"));
  EXPECT_THAT(error_with([](Json& c) { c["hidden_act"] = "xielu"; }),
              HasSubstr("\"xielu\" is not supported"));
  EXPECT_THAT(error_with([](Json& c) { c["attention_bias"] = true; }),
              HasSubstr("self_attn.k_proj.bias is missing"));
  EXPECT_THAT(error_with([](Json& c) { c["vocab_size"] = 161; }),
              HasSubstr("shape [160, 64], expected [161, 64]"));
  EXPECT_THAT(error_with([](Json& c) { c["architectures"] = {"LlamaForRewardModelWithGating"}; }),
              HasSubstr("LlamaForRewardModelWithGating"));
  EXPECT_THAT(error_with([](Json& c) {
                c["quantization_config"] = {{"bits", 4}};
              }),
              HasSubstr("quantization_config"));
  EXPECT_THAT(error_with([](Json& c) {
                c["id2label"] = {{"0", "a"}, {"1", "b"}};
              }),
              HasSubstr("expected [2, 64]"));
  EXPECT_THAT(error_with([](Json& c) { c["id2label"] = {{"7", "a"}}; }), HasSubstr("\"0\" is missing"));
  EXPECT_THAT(error_with([](Json& c) { c["pad_token_id"] = "<pad>"; }), HasSubstr("pad_token_id"));
  EXPECT_THAT(error_with([](Json& c) {
                c["rope_parameters"] = {{"rope_type", "linear"}};
              }),
              HasSubstr("\"factor\" is missing"));
  EXPECT_THAT(error_with([](Json& c) {
                c["rope_parameters"]["full_attention"] = {{"rope_theta", 3}};
              }),
              HasSubstr("\"full_attention\" is not supported"));
  EXPECT_THAT(error_with([](Json& c) {
                c["rope_parameters"] = {{"rope_type", "longrope"}, {"factor", 2}};
              }),
              HasSubstr("\"longrope\" is not supported"));
  EXPECT_THAT(error_with([](Json& c) { c["partial_rotary_factor"] = 0.5; }),
              HasSubstr("partial_rotary_factor"));
  EXPECT_THAT(error_with([](Json& c) { c = Json::array(); }), HasSubstr("expected an object"));
}

TEST(DamagedCheckpoint, Files) {
  EXPECT_THAT(error_after("llama-seq", [](const fs::path& p) { fs::remove(p / "config.json"); }),
              HasSubstr("config.json"));
  EXPECT_THAT(error_after("llama-seq",
                          [](const fs::path& p) { write_file_atomically(p / "config.json", "{\"a\": "); }),
              HasSubstr("not valid JSON"));
  EXPECT_THAT(error_after("llama-seq", [](const fs::path& p) { fs::remove(p / "model.safetensors"); }),
              HasSubstr("found neither model.safetensors"));
  EXPECT_THAT(
      error_after("llama-seq",
                  [](const fs::path& p) { fs::rename(p / "model.safetensors", p / "pytorch_model.bin"); }),
      AllOf(HasSubstr("pickled"), HasSubstr("save_pretrained")));
  for (const size_t size : {0u, 5u, 200u, 100000u})
    EXPECT_THAT(
        error_after("llama-seq", [&](const fs::path& p) { fs::resize_file(p / "model.safetensors", size); }),
        HasSubstr("model.safetensors"));
  EXPECT_THAT(error_of([] { load_checkpoint("/nowhere/at all"); }), HasSubstr("/nowhere/at all"));
  EXPECT_THAT(error_of([] { load_checkpoint(fixture("llama-experts/expert0")); }),
              HasSubstr("found an adapter"));
}

TEST(DamagedCheckpoint, EveryTensorIsNeededAndNoOtherIsAllowed) {
  const fs::path weights = "model.safetensors";
  for (const std::string& name : SafeTensors(fixture("qwen2-seq") / weights).names()) {
    const std::string missing = error_after("qwen2-seq", [&](const fs::path& p) {
      edit_tensors(p / weights, [&](NamedTensors& tensors) { tensors.erase(name); });
    });
    EXPECT_THAT(missing, AllOf(HasSubstr(name + " is missing"), HasSubstr("model.safetensors")));
  }
  const auto error_with = [&](auto change) {
    return error_after("qwen2-seq", [&](const fs::path& p) { edit_tensors(p / weights, change); });
  };
  EXPECT_THAT(error_with([](NamedTensors& t) { t["score.bias"] = torch::ones({1}); }),
              HasSubstr("score.bias has no place"));
  EXPECT_THAT(error_with([](NamedTensors& t) { t["model.norm.weight"] = torch::ones({65}); }),
              HasSubstr("model.norm.weight has shape [65], expected [64]"));
  EXPECT_THAT(error_with([](NamedTensors& t) { t["model.norm.weight"] = torch::ones({64}, torch::kInt64); }),
              HasSubstr("expected floating-point"));
}

TEST(DamagedCheckpoint, Index) {
  const auto error_with = [](auto change) {
    return error_after("llama_tied_bias_sharded-seq", [&](const fs::path& path) {
      edit_json(path / "model.safetensors.index.json",
                [&](Json& index) { change(index["weight_map"], path); });
    });
  };
  const std::string norm = "model.norm.weight";
  EXPECT_THAT(error_with([&](Json& map, auto&) { map[norm] = "model-00001-of-00005.safetensors"; }),
              HasSubstr(norm + " is not in its shard"));
  EXPECT_THAT(error_with([&](Json& map, auto&) { map[norm] = "model-00009-of-00005.safetensors"; }),
              HasSubstr("model-00009-of-00005.safetensors"));
  EXPECT_THAT(error_with([&](Json& map, auto&) { map[norm] = "../x.safetensors"; }),
              HasSubstr("is not a file name"));
  EXPECT_THAT(error_with([&](Json& map, auto&) { map[norm] = 5; }), HasSubstr("a whole number"));
  EXPECT_THAT(error_with([&](Json& map, auto&) { map.erase(norm); }), HasSubstr(norm + " is not listed"));
  EXPECT_THAT(error_with([&](Json& map, auto&) { map = 3; }), HasSubstr("weight_map"));
  EXPECT_THAT(
      error_with([&](Json&, const fs::path& p) { fs::remove(p / "model-00002-of-00005.safetensors"); }),
      HasSubstr("model-00002-of-00005.safetensors"));
}

}  // namespace
}  // namespace dmoerm::models
