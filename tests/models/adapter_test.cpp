// PEFT directories: new, saved and loaded adapters, what their options mean, and what is refused.
#include "dmoerm/models/adapter_config.h"
#include "dmoerm/models/merge_adapter.h"
#include "tests/models/model_fixtures.h"

namespace dmoerm::models {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Two layers, width 64; its experts adapt q_proj and v_proj with rank 4 and alpha 8.
const nn::Decoder& decoder() {
  static const Checkpoint base = load_checkpoint(fixture("llama-seq"));
  return *base.decoder;
}

void expect_same_adapter(const Adapter& actual, const Adapter& expected) {
  ASSERT_EQ(actual.lora.pairs.size(), expected.lora.pairs.size());
  for (const auto& [name, pair] : expected.lora.pairs) {
    ASSERT_EQ(actual.lora.pairs.count(name), 1u) << name;
    const ops::LoraPair& other = actual.lora.pairs.at(name);
    EXPECT_TRUE(torch::equal(other.a, pair.a)) << name;
    EXPECT_TRUE(torch::equal(other.b, pair.b)) << name;
    EXPECT_DOUBLE_EQ(other.scale, pair.scale) << name;
  }
  EXPECT_EQ(actual.options.rank, expected.options.rank);
  EXPECT_EQ(actual.options.target_modules, expected.options.target_modules);
  EXPECT_EQ(actual.lora.dropout, expected.lora.dropout);
  EXPECT_EQ(actual.base_model, expected.base_model);
  ASSERT_EQ(actual.score_weight.defined(), expected.score_weight.defined());
  if (expected.score_weight.defined()) {
    EXPECT_TRUE(torch::equal(actual.score_weight, expected.score_weight));
  }
}

TEST(Adapter, NewAdapterIsAZeroUpdateWithPeftsStart) {
  const LoraOptions options{8, 16, 0.1, false, {"q_proj", "mlp.down_proj"}};
  const Adapter adapter = new_adapter(decoder(), options, 7);
  EXPECT_EQ(adapter.lora.pairs.size(), 4u);
  EXPECT_EQ(adapter.lora.dropout, 0.1);
  const ops::LoraPair& pair = adapter.lora.pairs.at("layers.1.mlp.down_proj");
  EXPECT_EQ(pair.scale, 2);
  EXPECT_TRUE(torch::equal(pair.b, torch::zeros({64, 8})));
  ASSERT_EQ(pair.a.sizes(), torch::IntArrayRef({8, 160}));
  const double bound = 1 / std::sqrt(160.0);  // uniform on [-bound, bound]
  EXPECT_LE(pair.a.abs().max().item<double>(), bound);
  EXPECT_NEAR(pair.a.std().item<double>(), bound / std::sqrt(3.0), 0.05 * bound);
  expect_same_adapter(new_adapter(decoder(), options, 7), adapter);
  EXPECT_FALSE(
      torch::equal(new_adapter(decoder(), options, 8).lora.pairs.at("layers.1.mlp.down_proj").a, pair.a));
  EXPECT_EQ(new_adapter(decoder(), {4, 4, 0, true, {"all-linear"}}, 1).lora.pairs.size(), 14u);
  EXPECT_EQ(new_adapter(decoder(), {4, 4, 0, true, {"q_proj"}}, 1).lora.pairs.begin()->second.scale, 2);
}

TEST(Adapter, NewAdapterRefusesBadOptions) {
  const auto error = [](const LoraOptions& options) {
    return error_of([&] { new_adapter(decoder(), options, 1); });
  };
  EXPECT_THAT(error({8, 8, 0, false, {"q_proj", "qproj"}}), HasSubstr("\"qproj\" matches no linear layer"));
  EXPECT_THAT(error({8, 8, 0, false, {}}), HasSubstr("target_modules is empty"));
  EXPECT_THAT(error({0, 8, 0, false}), HasSubstr("rank is 0"));
  EXPECT_THAT(error({8, NAN, 0, false}), HasSubstr("alpha is nan"));
  EXPECT_THAT(error({8, 8, 1, false}), HasSubstr("dropout is 1"));
}

TEST(Adapter, SavedAndLoadedIsIdentical) {
  for (const char* name : {"llama-experts/expert0", "llama-experts/expert2"}) {
    const Adapter adapter = load_adapter(fixture(name), decoder());
    EXPECT_TRUE(adapter.score_weight.defined());
    TemporaryDirectory directory;
    save_adapter(directory.path(), adapter);
    expect_same_adapter(load_adapter(directory.path(), decoder()), adapter);
  }
  Adapter fresh = new_adapter(decoder(), {3, 5.5, 0.25, true, {"up_proj", "layers.1.self_attn.o_proj"}}, 2);
  fresh.score_weight = torch::randn({2, 64});
  fresh.base_model = "../base/тест";
  for (auto& [name, pair] : fresh.lora.pairs) pair.b.normal_();
  TemporaryDirectory directory;
  save_adapter(directory.path(), fresh);
  expect_same_adapter(load_adapter(directory.path(), decoder()), fresh);
}

TEST(Adapter, RankAndAlphaPatternsAreWrittenAndRead) {
  Adapter adapter = new_adapter(decoder(), {4, 8, 0, false, {"q_proj", "v_proj"}}, 2);
  adapter.lora.pairs["layers.0.self_attn.v_proj"] = {torch::randn({6, 64}), torch::randn({64, 6}), 8.0 / 6};
  adapter.lora.pairs["layers.1.self_attn.q_proj"] = {torch::randn({2, 64}), torch::randn({64, 2}), 1.5 / 2};
  TemporaryDirectory directory;
  save_adapter(directory.path(), adapter);
  const Json config = load_json(directory.path() / "adapter_config.json");
  EXPECT_EQ(config["rank_pattern"],
            (Json{{"model.layers.0.self_attn.v_proj", 6}, {"model.layers.1.self_attn.q_proj", 2}}));
  EXPECT_EQ(config["alpha_pattern"], (Json{{"model.layers.1.self_attn.q_proj", 1.5}}));
  EXPECT_TRUE(config["modules_to_save"].is_null());
  expect_same_adapter(load_adapter(directory.path(), decoder()), adapter);
}

// What load_adapter() gives for a copy of an expert after its configuration was changed.
template <typename Change>
Adapter load_with(Change change) {
  TemporaryDirectory directory(fixture("llama-experts/expert0"));
  edit_json(directory.path() / "adapter_config.json", change);
  return load_adapter(directory.path(), decoder());
}

TEST(Adapter, TargetsMayBeAnExpressionOrNarrowed) {
  const Adapter plain = load_with([](Json&) {});
  EXPECT_EQ(plain.lora.pairs.size(), 4u);
  const Adapter expression = load_with([](Json& c) { c["target_modules"] = R"(.*self_attn\.(?:q|v)_proj)"; });
  EXPECT_EQ(expression.options.target_modules.size(), 4u);
  TemporaryDirectory saved;
  save_adapter(saved.path(), expression);
  expect_same_adapter(load_adapter(saved.path(), decoder()), expression);
  EXPECT_EQ(load_with([](Json& c) {
              c["target_modules"] = {"q_proj", "v_proj", "lm_head"};
            }).lora.pairs.size(),
            4u);
  EXPECT_EQ(load_with([](Json& c) {
              c["target_modules"] = {"q_proj", "k_proj", "v_proj"};
              c["exclude_modules"] = {"k_proj"};
            }).lora.pairs.size(),
            4u);
  TemporaryDirectory first(fixture("llama-experts/expert0"));
  edit_json(first.path() / "adapter_config.json", [](Json& c) { c["layers_to_transform"] = {0}; });
  edit_tensors(first.path() / "adapter_model.safetensors", [](NamedTensors& tensors) {
    std::erase_if(tensors, [](const auto& item) { return item.first.find("layers.1") != std::string::npos; });
  });
  EXPECT_EQ(load_adapter(first.path(), decoder()).lora.pairs.size(), 2u);
}

// The names of the layers that a configuration adapts, of a file that holds a LoRA for every layer.
template <typename Change>
std::vector<std::string> layers_with(Change change) {
  TemporaryDirectory directory;
  const Adapter all = new_adapter(decoder(), {4, 4, 0, false, {"all-linear"}}, 1);
  save_adapter(directory.path(), all);
  edit_json(directory.path() / "adapter_config.json", change);
  const AdapterConfig config(directory.path() / "adapter_config.json", decoder().config().linear_layers());
  std::vector<std::string> names;
  for (const AdaptedModule& module : config.modules()) names.push_back(module.layer.name);
  return names;
}

TEST(Adapter, LayersAreChosenAsInPeft) {
  using testing::ElementsAre;
  EXPECT_EQ(layers_with([](Json&) {}).size(), 14u);
  EXPECT_EQ(layers_with([](Json& c) { c["target_modules"] = "ALL-linear"; }).size(), 14u);
  const auto up = [](const char* key, const Json& value) {
    return layers_with([&](Json& c) { c["target_modules"] = {"up_proj"}, c[key] = value; });
  };
  EXPECT_EQ(up("exclude_modules", "layers.0.*").size(), 2u);  // an expression covers the whole name
  EXPECT_THAT(up("exclude_modules", ".*layers.0.*"), ElementsAre("layers.1.mlp.up_proj"));
  EXPECT_THAT(up("exclude_modules", {"1.mlp.up_proj"}), ElementsAre("layers.0.mlp.up_proj"));
  EXPECT_EQ(up("exclude_modules", {"no_such"}).size(), 2u);
  EXPECT_THAT(up("layers_to_transform", 1), ElementsAre("layers.1.mlp.up_proj"));
  EXPECT_EQ(up("layers_to_transform", Json::array()).size(), 2u);
  const auto one = [](const Json& pattern) {
    return layers_with([&](Json& c) {
      c["target_modules"] = {"up_proj", "model.layers.0.mlp.up_proj"};  // a whole name is always chosen
      c["layers_to_transform"] = {1, 7};
      c["layers_pattern"] = pattern;
    });
  };
  for (const Json& pattern : {Json(), Json(""), Json("layers"), Json({"h", "l.*s"})})
    EXPECT_THAT(one(pattern), ElementsAre("layers.0.mlp.up_proj", "layers.1.mlp.up_proj"));
  EXPECT_THAT(one("blocks"), ElementsAre("layers.0.mlp.up_proj"));
}

TEST(Adapter, OptionsWithoutEffectAreAccepted) {
  const Adapter plain = load_with([](Json&) {});
  const Adapter adapter = load_with([](Json& c) {
    c["megatron_config"] = {{"tensor_parallel", 2}};
    c["runtime_config"] = {{"ephemeral_gpu_offload", true}};
    c["eva_config"] = {{"rho", 2.0}};
    c["velora_config"] = {{"rank", 4}};
    c["init_lora_weights"] = "eva";
    c["ensure_weight_tying"] = true;
    c["auto_mapping"] = {{"base_model_class", "LlamaForSequenceClassification"}};
    c["modules_to_save"] = {"score", "no_such_module", "classifier", "score"};
  });
  expect_same_adapter(adapter, plain);
}

TEST(Adapter, OneOfSeveralIsChosenByItsFolder) {
  TemporaryDirectory directory;
  for (const char* name : {"empathy", "logic"})
    fs::copy(fixture("llama-experts/expert0"), directory.path() / name);
  EXPECT_THAT(error_of([&] { load_adapter(directory.path(), decoder()); }),
              AllOf(HasSubstr("several adapters"), HasSubstr("empathy, logic")));
  EXPECT_EQ(load_adapter(directory.path() / "logic", decoder()).lora.pairs.size(), 4u);
}

TEST(Adapter, MergedWeightsGiveTheSameStates) {
  const std::vector<int32_t> tokens = {3, 5, 8, 13, 21};
  for (const char* name : {"expert0", "expert1", "expert2"}) {
    const Adapter adapter = load_adapter(fixture("llama-experts") / name, decoder());
    nn::ExpertSet experts;
    experts.experts.push_back(adapter.lora);
    const std::vector<data::PackItem> items = {{tokens, 0, 0}};
    const nn::Batch batch = nn::to_device(data::pack(items, 1), torch::kCPU);
    const nn::Decoder merged = merge_adapter(decoder(), adapter.lora);
    expect_close(merged.last_hidden(packed({tokens})), decoder().last_hidden(batch, &experts), 2e-6, name);
    EXPECT_EQ(merged.weights().at("norm.weight").data_ptr(),
              decoder().weights().at("norm.weight").data_ptr());
  }
}

// A decoder of width 16 with 3 experts in its second layer, and Mixtral's names.
nn::Decoder sparse_decoder(int64_t expert_width = 12) {
  nn::DecoderConfig config;
  config.vocab_size = 40;
  config.hidden_size = 16;
  config.intermediate_size = 20;
  config.num_layers = 2;
  config.num_heads = config.num_kv_heads = 2;
  config.head_dim = 8;
  config.moe.emplace();
  config.moe->router.num_experts = 3;
  config.moe->router.top_k = 2;
  config.moe->intermediate_size = expert_width;
  config.moe->sparse_layers = {false, true};
  return nn::Decoder(config, 3);
}

WeightNames mixtral_names() {
  return {.modules = {{"mlp.experts.gate_up_proj",
                       {"block_sparse_moe.experts.*.w1.weight", "block_sparse_moe.experts.*.w3.weight"}},
                      {"mlp.experts.down_proj", {"block_sparse_moe.experts.*.w2.weight"}}}};
}

void write_adapter(const fs::path& directory, const Json& config, const NamedTensors& tensors) {
  Json whole = {{"peft_type", "LORA"}, {"r", 2}, {"lora_alpha", 3}};
  whole.update(config);
  write_file_atomically(directory / "adapter_config.json", dump_json(whole));
  save_safetensors(directory / "adapter_model.safetensors", tensors);
}

// The adapter as it runs equals its merged weights, and what is saved is what was read.
void expect_runs_and_saves(const fs::path& directory, const nn::Decoder& decoder, const Adapter& adapter) {
  const std::vector<int32_t> tokens = {3, 5, 8, 13, 21, 34, 2};
  const std::vector<data::PackItem> items = {{tokens, 0, 0}};
  nn::ExpertSet experts;
  experts.experts.push_back(adapter.lora);
  const Tensor merged = merge_adapter(decoder, adapter.lora).last_hidden(packed({tokens}));
  const nn::Batch batch = nn::to_device(data::pack(items, 1), torch::kCPU);
  expect_close(merged, decoder.last_hidden(batch, &experts), 1e-5, "merged");
  EXPECT_FALSE(torch::allclose(merged, decoder.last_hidden(packed({tokens})), 1e-3, 1e-3));
  const TemporaryDirectory saved;
  save_adapter(saved.path(), adapter);
  const NamedTensors before = load_safetensors(directory / "adapter_model.safetensors");
  const NamedTensors after = load_safetensors(saved.path() / "adapter_model.safetensors");
  ASSERT_EQ(after.size(), before.size());
  for (const auto& [name, tensor] : before) EXPECT_TRUE(torch::equal(after.at(name), tensor)) << name;
  expect_same_adapter(load_adapter(saved.path(), decoder, adapter.names), adapter);
}

TEST(Adapter, ExpertsAsStackedParameters) {
  const nn::Decoder decoder = sparse_decoder();
  const std::string experts = "base_model.model.model.layers.1.mlp.experts.";
  torch::manual_seed(4);
  // down_proj has rank 4; PEFT keeps gate_up_proj inside it.
  const Tensor a = torch::randn({6, 16}), b = torch::randn({24, 6}), down_a = torch::randn({12, 12}),
               down_b = torch::randn({16, 12}), q_a = torch::randn({2, 16}), q_b = torch::randn({16, 2});
  const NamedTensors tensors = {{experts + "base_layer.lora_A.weight", a},
                                {experts + "base_layer.lora_B.weight", b},
                                {experts + "lora_A.weight", down_a},
                                {experts + "lora_B.weight", down_b},
                                {"base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight", q_a},
                                {"base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight", q_b}};
  const Json config = {{"target_modules", {"1.self_attn.q_proj"}},
                       {"target_parameters", {"mlp.experts.gate_up_proj", "mlp.experts.down_proj"}},
                       {"rank_pattern", {{"experts.down_proj", 4}}}};
  const TemporaryDirectory directory;
  write_adapter(directory.path(), config, tensors);
  const Adapter adapter = load_adapter(directory.path(), decoder, mixtral_names());
  EXPECT_EQ(adapter.lora.pairs.size(), 7u);
  // PEFT: delta [E, out, in] = einsum("o r e, e r i -> e o i", B as [out, r, E], A as [E, r, in]) alpha / r
  const nn::Decoder merged = merge_adapter(decoder, adapter.lora);
  const auto expect_delta = [&](const char* name, const Tensor& a, const Tensor& b, double scale) {
    const Tensor delta =
        torch::einsum("ore,eri->eoi", {b.view({b.size(0), -1, 3}), a.view({3, -1, a.size(1)})});
    expect_close(merged.weights().at(name), decoder.weights().at(name) + delta * scale, 1e-6, name);
  };
  expect_delta("layers.1.mlp.experts.gate_up_proj", a, b, 1.5);
  expect_delta("layers.1.mlp.experts.down_proj", down_a, down_b, 0.75);
  expect_runs_and_saves(directory.path(), decoder, adapter);

  // One parameter alone is not nested.
  const TemporaryDirectory one;
  write_adapter(one.path(),
                {{"target_modules", Json::array()}, {"target_parameters", {"experts.gate_up_proj"}}},
                {{experts + "lora_A.weight", a}, {experts + "lora_B.weight", b}});
  expect_runs_and_saves(one.path(), decoder, load_adapter(one.path(), decoder, mixtral_names()));
  // The sizes of a stack are checked.
  write_adapter(one.path(), {{"target_modules", Json::array()}, {"target_parameters", {"experts.down_proj"}}},
                {{experts + "lora_A.weight", a}, {experts + "lora_B.weight", b}});
  EXPECT_THAT(error_of([&] { load_adapter(one.path(), decoder); }),
              HasSubstr("shape [6, 16], expected [6, 12]"));
}

// PEFT before 0.19.1 wrote both sizes of a stack for each other; of a square one nothing tells.
TEST(Adapter, SquareStacksAreReadWhereTheirVersionTells) {
  const nn::Decoder decoder = sparse_decoder(16);
  const std::string experts = "base_model.model.model.layers.1.mlp.experts.";
  const TemporaryDirectory directory;
  Json config = {{"target_modules", Json::array()}, {"target_parameters", {"experts.down_proj"}}};
  const auto error_with_version = [&](const char* version) {
    if (version) config["peft_version"] = version;
    write_adapter(directory.path(), config,
                  {{experts + "lora_A.weight", torch::ones({6, 16})},
                   {experts + "lora_B.weight", torch::ones({16, 6})}});
    return error_of([&] { load_adapter(directory.path(), decoder, mixtral_names()); });
  };
  for (const char* version :
       {static_cast<const char*>(nullptr), "0.17.1", "0.18.0", "0.19.0", "0.19.0.dev0@abc"})
    EXPECT_THAT(error_with_version(version), HasSubstr("may have transposed it"));
  EXPECT_EQ(error_with_version("0.19.1"), "no error");
  const TemporaryDirectory again;
  save_adapter(again.path(), load_adapter(directory.path(), decoder, mixtral_names()));
  EXPECT_EQ(error_of([&] { load_adapter(again.path(), decoder, mixtral_names()); }), "no error");
}

// PEFT reads "all-linear" letter by letter for a model with experts, and refuses dropout on them.
TEST(Adapter, WhatIsWrittenForExpertsIsWhatPeftReads) {
  const nn::Decoder decoder = sparse_decoder();
  const TemporaryDirectory directory;
  save_adapter(directory.path(),
               new_adapter(decoder, {4, 4, 0.1, false, {"all-linear"}}, 1, mixtral_names()));
  const Json config = load_json(directory.path() / "adapter_config.json");
  EXPECT_EQ(config["target_modules"], Json::parse(R"(["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj",
                                                      "up_proj", "v_proj", "w1", "w2", "w3"])"));
  EXPECT_EQ(config["lora_dropout"], 0);
  EXPECT_EQ(load_adapter(directory.path(), decoder, mixtral_names()).lora.pairs.size(), 8u + 3u + 9u);
}

TEST(Adapter, ExpertsOneByOne) {
  const nn::Decoder decoder = sparse_decoder();
  torch::manual_seed(5);
  NamedTensors tensors;
  for (int e = 0; e < 3; ++e)
    for (const char* name : {"w1", "w2", "w3"}) {
      const bool down = std::string(name) == "w2";
      const auto module =
          fmt::format("base_model.model.model.layers.1.block_sparse_moe.experts.{}.{}", e, name);
      tensors[module + ".lora_A.weight"] = torch::randn({2, down ? 12 : 16});
      tensors[module + ".lora_B.weight"] = torch::randn({down ? 16 : 12, 2});
    }
  const TemporaryDirectory directory;
  write_adapter(directory.path(), {{"target_modules", {"w1", "w2", "w3"}}}, tensors);
  const Adapter adapter = load_adapter(directory.path(), decoder, mixtral_names());
  EXPECT_EQ(adapter.lora.pairs.size(), 9u);
  const auto tensor = [&](const char* name) {
    return tensors.at(
        fmt::format("base_model.model.model.layers.1.block_sparse_moe.experts.2.{}.weight", name));
  };
  const Tensor merged =
      merge_adapter(decoder, adapter.lora).weights().at("layers.1.mlp.experts.gate_up_proj")[2];
  const Tensor plain = decoder.weights().at("layers.1.mlp.experts.gate_up_proj")[2];
  const Tensor gate = torch::mm(tensor("w1.lora_B"), tensor("w1.lora_A"));
  const Tensor up = torch::mm(tensor("w3.lora_B"), tensor("w3.lora_A"));
  expect_close(merged, plain + 1.5 * torch::cat({gate, up}), 1e-6, "gate_up_proj");
  expect_runs_and_saves(directory.path(), decoder, adapter);

  // An expert that is missing among others is an error; transformers 5 has modules of no expert at all.
  tensors.erase("base_model.model.model.layers.1.block_sparse_moe.experts.2.w3.lora_A.weight");
  write_adapter(directory.path(), {{"target_modules", {"w1", "w2", "w3"}}}, tensors);
  EXPECT_THAT(error_of([&] { load_adapter(directory.path(), decoder, mixtral_names()); }),
              HasSubstr("experts.2.w3.lora_A.weight is missing"));
  Adapter dense = new_adapter(decoder, {2, 3, 0, false, {"0.mlp.gate_proj"}}, 1);
  save_adapter(directory.path(), dense);
  edit_json(directory.path() / "adapter_config.json", [](Json& c) { c["target_modules"] = {"gate_proj"}; });
  EXPECT_EQ(load_adapter(directory.path(), decoder).lora.pairs.size(), 1u);
}

TEST(Adapter, ModulesAreNamedAsTheFamilyDoes) {
  const WeightNames names = {
      .prefix = "gpt_neox.",
      .modules = {{"self_attn.q_proj", {"attention.query"}}, {"mlp.up_proj", {"mlp.dense_h_to_4h"}}}};
  Adapter adapter = new_adapter(decoder(), {2, 3, 0, false, {"attention.query", "dense_h_to_4h"}}, 1, names);
  EXPECT_EQ(adapter.lora.pairs.count("layers.1.mlp.up_proj"), 1u);
  for (auto& [name, pair] : adapter.lora.pairs) pair.b.normal_();
  const TemporaryDirectory directory;
  save_adapter(directory.path(), adapter);
  EXPECT_TRUE(SafeTensors(directory.path() / "adapter_model.safetensors")
                  .contains("base_model.model.gpt_neox.layers.0.attention.query.lora_A.weight"));
  expect_same_adapter(load_adapter(directory.path(), decoder(), names), adapter);
  EXPECT_THAT(error_of([&] {
                new_adapter(decoder(), {2, 3, 0, false, {"q_proj"}}, 1, names);
              }),
              HasSubstr("such as gpt_neox.layers.0.attention.query"));
}

TEST(Adapter, FirstPatternOfTheFileCounts) {
  TemporaryDirectory directory(fixture("llama-experts/expert0"));
  const fs::path path = directory.path() / "adapter_config.json";
  std::string text = read_file(path);
  const std::string empty = "\"alpha_pattern\": {}";
  text.replace(text.find(empty), empty.size(),
               R"("alpha_pattern": {"v_proj": 2, "layers.*": 20, "0.self_attn.v_proj": 3})");
  write_file_atomically(path, text);
  const Adapter adapter = load_adapter(directory.path(), decoder());
  EXPECT_EQ(adapter.lora.pairs.at("layers.0.self_attn.v_proj").scale, 0.5);
  EXPECT_EQ(adapter.lora.pairs.at("layers.0.self_attn.q_proj").scale, 5);
}

TEST(DamagedAdapter, Configuration) {
  const auto error_with = [](auto change) { return error_of([&] { load_with(change); }); };
  EXPECT_THAT(error_with([](Json& c) { c.erase("peft_type"); }), HasSubstr("\"peft_type\" is missing"));
  EXPECT_THAT(error_with([](Json& c) { c["peft_type"] = "ADALORA"; }), HasSubstr("peft_type ADALORA"));
  EXPECT_THAT(error_with([](Json& c) { c["bias"] = "all"; }), HasSubstr("bias \"all\""));
  // PEFT 0.21's options that give other numbers, or tensors that have no place here.
  for (const char* option :
       {"use_dora", "fan_in_fan_out", "lora_bias", "use_qalora", "use_bdlora", "a_later_option"})
    EXPECT_THAT(error_with([&](Json& c) { c[option] = true; }),
                AllOf(HasSubstr(option), HasSubstr("not supported"), HasSubstr("adapter_config.json")));
  for (const char* option : {"layer_replication", "alora_invocation_tokens", "trainable_token_indices",
                             "arrow_config", "kasa_config", "monteclora_config"})
    EXPECT_THAT(error_with([&](Json& c) {
                  c[option] = {1, 2};
                }),
                AllOf(HasSubstr(option), HasSubstr("not supported")));
  EXPECT_THAT(error_with([](Json& c) { c["target_parameters"] = {"mlp.experts.down_proj"}; }),
              HasSubstr("target_parameters [\"mlp.experts.down_proj\"] matches no experts"));
  for (const char* start : {"pissa", "pissa_niter_4", "olora", "corda", "loftq", "lora_ga"})
    EXPECT_THAT(error_with([&](Json& c) { c["init_lora_weights"] = start; }),
                AllOf(HasSubstr(start), HasSubstr("path_initial_model_for_weight_conversion")));
  EXPECT_THAT(error_with([](Json& c) { c["r"] = 5; }), HasSubstr("shape [4, 64], expected [5, 64]"));
  EXPECT_THAT(error_with([](Json& c) { c["r"] = "four"; }), HasSubstr("\"r\" is a string"));
  EXPECT_THAT(error_with([](Json& c) { c["lora_alpha"] = "x"; }), HasSubstr("lora_alpha"));
  EXPECT_THAT(error_with([](Json& c) { c["lora_dropout"] = 1.5; }), HasSubstr("dropout is 1.5"));
  EXPECT_THAT(error_with([](Json& c) { c["target_modules"] = nullptr; }), HasSubstr("target_modules"));
  EXPECT_THAT(error_with([](Json& c) { c["target_modules"] = {1}; }), HasSubstr("expected strings"));
  EXPECT_THAT(error_with([](Json& c) { c["target_modules"] = {"query"}; }), HasSubstr("\"query\""));
  EXPECT_THAT(error_with([](Json& c) { c["target_modules"] = "(q_proj"; }),
              HasSubstr("not a valid regular expression"));
  EXPECT_THAT(error_with([](Json& c) { c["target_modules"] = {"q_proj"}; }),
              HasSubstr("belongs to no target module"));
  EXPECT_THAT(error_with([](Json& c) {
                c["target_modules"] = {"q_proj", "v_proj", "k_proj"};
              }),
              HasSubstr("k_proj.lora_A.weight is missing"));
  EXPECT_THAT(error_with([](Json& c) { c["rank_pattern"] = {{"q_proj", 0}}; }), HasSubstr("rank 0"));
  EXPECT_THAT(error_with([](Json& c) {
                c["alpha_pattern"] = {{"q_proj", "a"}};
              }),
              HasSubstr("alpha_pattern"));
  EXPECT_THAT(error_with([](Json& c) { c["layers_pattern"] = "blocks", c["layers_to_transform"] = 0; }),
              HasSubstr("matches no linear layer"));
  EXPECT_THAT(error_with([](Json& c) { c["layers_to_transform"] = "0"; }), HasSubstr("whole numbers"));
  EXPECT_THAT(error_with([](Json& c) { c["target_modules"] = ".*q_proj", c["layers_to_transform"] = 0; }),
              HasSubstr("layers_to_transform needs a list"));
  EXPECT_THAT(error_with([](Json& c) { c["modules_to_save"] = "score"; }), HasSubstr("expected a list"));
  EXPECT_THAT(error_with([](Json& c) {
                c["modules_to_save"] = {"score", "v_proj"};
              }),
              HasSubstr("v_proj.lora_A.weight belongs to no target module"));
}

TEST(DamagedAdapter, Tensors) {
  const auto error_with = [](auto change) {
    TemporaryDirectory directory(fixture("llama-experts/expert0"));
    edit_tensors(directory.path() / "adapter_model.safetensors", change);
    return error_of([&] { load_adapter(directory.path(), decoder()); });
  };
  for (const std::string& name :
       SafeTensors(fixture("llama-experts/expert0/adapter_model.safetensors")).names())
    EXPECT_THAT(error_with([&](NamedTensors& t) { t.erase(name); }), HasSubstr(name + " is missing"));
  EXPECT_THAT(error_with([](NamedTensors& t) {
                t["base_model.model.lm_head.weight"] = torch::ones({2, 2});
              }),
              HasSubstr("base_model.model.lm_head.weight belongs to no target module"));
  EXPECT_THAT(error_with([](NamedTensors& t) {
                t["base_model.model.score.weight"] = torch::ones({1, 63});
              }),
              HasSubstr("shape [1, 63], expected [1, 64]"));
  EXPECT_THAT(error_with([](NamedTensors& t) {
                t["base_model.model.score.weight"] = torch::ones({64}, torch::kInt32);
              }),
              HasSubstr("score.weight"));
}

TEST(DamagedAdapter, Files) {
  TemporaryDirectory directory(fixture("llama-experts/expert0"));
  const fs::path weights = directory.path() / "adapter_model.safetensors";
  const auto error = [&] { return error_of([&] { load_adapter(directory.path(), decoder()); }); };
  fs::resize_file(weights, 1000);
  EXPECT_THAT(error(), HasSubstr("adapter_model.safetensors"));
  fs::rename(weights, directory.path() / "adapter_model.bin");
  EXPECT_THAT(error(), AllOf(HasSubstr("pickled"), HasSubstr("save_pretrained")));
  fs::remove(directory.path() / "adapter_model.bin");
  EXPECT_THAT(error(), HasSubstr("adapter_model.safetensors"));
  write_file_atomically(directory.path() / "adapter_config.json", "[1]");
  EXPECT_THAT(error(), HasSubstr("expected an object"));
  fs::remove(directory.path() / "adapter_config.json");
  EXPECT_THAT(error(), HasSubstr("adapter_config.json"));
}

}  // namespace
}  // namespace dmoerm::models
