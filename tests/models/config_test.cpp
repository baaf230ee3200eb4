// config.json of every family: what old and new spellings mean, what a silent file means, and that a setting
// that is not supported is refused by name.
#include "dmoerm/models/family.h"

#include <cmath>
#include <map>

#include "tests/models/model_fixtures.h"

namespace dmoerm::models {
namespace {

using testing::HasSubstr;

nn::DecoderConfig read(const Json& json) {
  ConfigReader config(json, "config.json");
  return find_family(config.required<std::string>("model_type"), "config.json").read_config(config);
}

template <typename Change>
nn::DecoderConfig read_with(const std::string& name, Change change) {
  Json json = load_json(fixture(name) / "config.json");
  change(json);
  return read(json);
}

struct Refusal {
  const char *fixture, *setting, *value;  // set to this JSON, a path of keys
  const char* named;                      // in the message, beside the value's own file
};

constexpr Refusal kRefusals[] = {
    {"llama-seq", "/hidden_act", R"("xielu")", "\"xielu\" is not supported"},
    {"llama-seq", "/quantization_config", R"({"bits": 4})", "quantization_config"},
    {"llama-seq", "/is_encoder_decoder", "true", "is_encoder_decoder"},
    {"llama-seq", "/add_cross_attention", "true", "add_cross_attention"},
    {"llama-seq", "/pruned_heads", R"({"1": [0]})", "pruned_heads"},
    {"llama-seq", "/partial_rotary_factor", "0.5", "partial_rotary_factor"},
    {"llama-seq", "/rope_parameters/partial_rotary_factor", "0.5", "partial_rotary_factor"},
    {"llama-seq", "/rope_parameters/rope_type", R"("longrope")", "\"longrope\" is not supported"},
    {"llama-seq", "/rope_parameters/rope_type", R"("dynamic")", "\"factor\" is missing"},
    {"llama-seq", "/rope_parameters/mrope_section", "[1, 2]", "mrope_section"},
    {"llama-seq", "/rope_parameters/rope_theta", "-3", "theta is -3"},
    {"llama-seq", "/rope_scaling", R"({"type": "yarn", "factor": 2, "long_factor": [1]})", "long_factor"},
    {"llama-seq", "/rope_scaling", R"({"type": "yarn", "factor": 2, "attention_factor": -1})",
     "attention_factor"},
    {"llama-seq", "/rope_scaling", R"({"type": "linear", "factor": 0})", "factor is 0"},
    {"llama-seq", "/rope_scaling", R"({"type": "linear", "factor": 1e300})", "factor is 1e+300"},
    {"llama_rope_yarn-seq", "/rope_parameters/original_max_position_embeddings", "0",
     "original_max_position_embeddings is 0"},
    {"llama-seq", "/num_key_value_heads", "3", "3 key/value heads"},
    {"llama-seq", "/head_dim", "15", "head_dim is 15"},
    {"mistral-seq", "/layer_types", R"(["full_attention", "sliding_attention"])", "layer_types"},
    {"mistral-seq", "/sliding_window", "-5", "sliding_window is -5"},
    {"mixtral-seq", "/sliding_window", "0", "sliding_window is 0"},
    {"olmoe-lm", "/clip_qkv", "0", "clip_qkv is 0"},
    {"qwen3-seq", "/num_hidden_layers", "18446744073709551615", "expected a whole number from"},
    {"gpt_neox-seq", "/rope_theta", "500", "rope_theta is 500 and rotary_emb_base is 10000"},
    {"gpt_neox-seq", "/partial_rotary_factor", "0.5", "partial_rotary_factor is 0.5 and rotary_pct is 0.25"},
    {"qwen2-seq", "/layer_types", R"(["chunked_attention", "full_attention"])", "chunked_attention"},
    {"qwen3-seq", "/layer_types", R"(["sliding_attention", "full_attention"])", "use_sliding_window"},
    {"qwen3-seq", "/layer_types", R"(["full_attention", "linear_attention"])", "linear_attention"},
    {"gpt_neox-seq", "/num_key_value_heads", "2", "num_key_value_heads"},
    {"gpt_neox-seq", "/head_dim", "8", "head_dim"},
    {"gpt_neox-seq", "/rope_parameters/partial_rotary_factor", "1.5", "partial_rotary_factor is 1.5"},
    {"gpt_neox-seq", "/rope_parameters/partial_rotary_factor", "0.2", "3 channels of a head are rotated"},
    {"deepseek_v2-seq", "/topk_method", R"("noaux_tc")", "topk_method"},
    {"deepseek_v2-seq", "/scoring_func", R"("sigmoid")", "scoring_func"},
    {"deepseek_v2-seq", "/norm_topk_prob", "true", "norm_topk_prob"},
    {"deepseek_v2-seq", "/mlp_bias", "true", "mlp_bias"},
    {"deepseek_v2-seq", "/num_key_value_heads", "2", "key/value heads"},
    {"deepseek_v2-seq", "/num_experts", "9", "n_routed_experts is 8 and num_experts is 9"},
    {"deepseek_v3-seq", "/num_local_experts", "9", "num_local_experts is 9"},
    {"deepseek_v3-seq", "/topk_method", R"("greedy")", "topk_method"},
    {"deepseek_v3-seq", "/scoring_func", R"("softmax")", "scoring_func"},
    {"deepseek_v3-seq", "/moe_layer_freq", "2", "moe_layer_freq is 2"},
    {"deepseek_v3-seq", "/qk_rope_head_dim", "0", "qk_rope_head_dim"},
    {"deepseek_v3-seq", "/v_head_dim", "-1", "v_head_dim is -1"},
    {"deepseek_v3-seq", "/n_group", "3", "3 equal groups"},
};

TEST(Config, WhatIsNotSupportedIsRefusedByName) {
  for (const Refusal& refusal : kRefusals) {
    const std::string error = error_of([&] {
      read_with(refusal.fixture,
                [&](Json& json) { json[Json::json_pointer(refusal.setting)] = Json::parse(refusal.value); });
    });
    EXPECT_THAT(error, HasSubstr(refusal.named)) << refusal.fixture << " " << refusal.setting;
    EXPECT_THAT(error, HasSubstr("config.json")) << refusal.fixture << " " << refusal.setting;
  }
}

// What transformers' shared code looks at in every family.
TEST(Config, WhatChangesTheNumbersOfAnyFamilyIsRefused) {
  const std::multimap<std::string, Json> settings = {{"quantization_config", {{"quant_method", "fp8"}}},
                                                     {"is_causal", false},
                                                     {"is_causal", nullptr},
                                                     {"per_layer_config", {{{"head_dim", 8}}}}};
  for (const char* name : kFixtures)
    for (const auto& [key, value] : settings)
      EXPECT_THAT(error_of([&, &key = key, &value = value] {
                    read_with(name, [&](Json& json) { json[key] = value; });
                  }),
                  HasSubstr(key))
          << name;
}

// The fields of the configuration classes of transformers 5.17. Sizes have no defaults here: they must be
// said.
struct Silent {
  const char* family;
  int64_t num_heads, num_kv_heads, head_dim;
  double norm_eps, theta;
  int64_t sliding_window;
  const char* activation = "silu";
  bool qkv_bias = false, o_bias = false;
  int64_t num_experts = 0, top_k = 0, expert_size = 0, shared_size = 0;  // 0: dense
  bool normalize = false;
};

constexpr Silent kSilent[] = {
    {"llama", 8, 8, 128, 1e-6, 1e4, 0},
    {"mistral", 16, 8, 64, 1e-6, 1e4, 4096},
    {"mixtral", 16, 8, 64, 1e-5, 1e6, 0, "silu", false, false, 8, 2, 96, 0, true},
    {"olmoe", 8, 8, 128, 1e-5, 1e4, 0, "silu", false, false, 64, 8, 96},
    {"qwen2", 64, 32, 16, 1e-6, 1e4, 0, "silu", true},
    {"qwen2_moe", 32, 16, 32, 1e-6, 1e4, 0, "silu", true, false, 60, 4, 1408, 5632},
    {"qwen3", 64, 32, 128, 1e-6, 1e4, 0},
    {"qwen3_moe", 16, 4, 64, 1e-6, 1e4, 0, "silu", false, false, 128, 8, 768},
    {"gpt_neox", 8, 8, 128, 1e-5, 1e4, 0, "gelu", true, true},
};

Json sizes(const std::string& family, int64_t num_heads) {
  return {{"model_type", family},    {"vocab_size", 160},      {"hidden_size", 1024},
          {"intermediate_size", 96}, {"num_hidden_layers", 4}, {"num_attention_heads", num_heads}};
}

TEST(Config, SilentFilesMeanTheDefaultsOfTheFamilysClass) {
  for (const Silent& silent : kSilent) {
    const nn::DecoderConfig decoder = read(sizes(silent.family, silent.num_heads));
    EXPECT_EQ(decoder.num_kv_heads, silent.num_kv_heads) << silent.family;
    EXPECT_EQ(decoder.head_dim, silent.head_dim) << silent.family;
    EXPECT_EQ(decoder.norm_eps, silent.norm_eps) << silent.family;
    EXPECT_EQ(decoder.rotary.theta, silent.theta) << silent.family;
    EXPECT_EQ(decoder.rotary.type, "default") << silent.family;
    EXPECT_EQ(decoder.sliding_window, silent.sliding_window) << silent.family;
    EXPECT_EQ(decoder.activation, silent.activation) << silent.family;
    EXPECT_EQ(decoder.qkv_bias, silent.qkv_bias) << silent.family;
    EXPECT_EQ(decoder.o_bias, silent.o_bias) << silent.family;
    EXPECT_FALSE(decoder.tied_embeddings) << silent.family;
    EXPECT_EQ(decoder.clip_qkv, 0) << silent.family;
    ASSERT_EQ(decoder.moe.has_value(), silent.num_experts > 0) << silent.family;
    if (!decoder.moe) continue;
    EXPECT_EQ(decoder.moe->router.num_experts, silent.num_experts) << silent.family;
    EXPECT_EQ(decoder.moe->router.top_k, silent.top_k) << silent.family;
    EXPECT_EQ(decoder.moe->router.normalize, silent.normalize) << silent.family;
    EXPECT_EQ(decoder.moe->intermediate_size, silent.expert_size) << silent.family;
    EXPECT_EQ(decoder.moe->shared_intermediate_size, silent.shared_size) << silent.family;
    EXPECT_TRUE(decoder.is_sparse(0) && decoder.is_sparse(3)) << silent.family;
  }
}

Json deepseek_sizes(const std::string& family, int64_t num_heads) {
  Json json = sizes(family, num_heads);
  json.update({{"kv_lora_rank", 16},
               {"qk_nope_head_dim", 16},
               {"qk_rope_head_dim", 8},
               {"v_head_dim", 16},
               {"n_routed_experts", 16},
               {"num_experts_per_tok", 2},
               {"moe_intermediate_size", 32}});
  return json;
}

TEST(Config, SilentDeepseekFilesMeanTheDefaultsOfTheirClass) {
  const nn::DecoderConfig v2 = read(deepseek_sizes("deepseek_v2", 8));
  EXPECT_EQ(v2.num_kv_heads, 8);
  EXPECT_EQ(v2.latent->query_rank, 1536);
  EXPECT_TRUE(v2.latent->interleaved);
  EXPECT_TRUE(v2.is_sparse(0));
  EXPECT_EQ(v2.moe->shared_intermediate_size, 2 * 32);
  EXPECT_EQ(v2.moe->router.scale, 1);
  EXPECT_EQ(v2.moe->router.top_groups, 1);
  EXPECT_FALSE(v2.moe->router.normalize || v2.qkv_bias || v2.o_bias || v2.tied_embeddings);

  const nn::DecoderConfig v3 = read(deepseek_sizes("deepseek_v3", 128));
  EXPECT_EQ(v3.latent->query_rank, 1536);
  EXPECT_TRUE(v3.latent->interleaved);
  EXPECT_FALSE(v3.is_sparse(2));
  EXPECT_TRUE(v3.is_sparse(3));
  EXPECT_EQ(v3.moe->shared_intermediate_size, 32);
  EXPECT_EQ(v3.moe->router.scale, 2.5);
  EXPECT_EQ(v3.moe->router.num_groups, 8);
  EXPECT_EQ(v3.moe->router.top_groups, 4);
  EXPECT_TRUE(v3.moe->router.normalize);
  EXPECT_THAT(error_of([] { read(deepseek_sizes("deepseek_v3", 64)); }), HasSubstr("128, expected 1 to 64"));
}

// Where the class has a default, null can mean something else.
TEST(Config, NullIsNotAlwaysTheDefault) {
  Json json = deepseek_sizes("deepseek_v3", 128);
  for (const char* key : {"q_lora_rank", "rope_interleave", "norm_topk_prob"}) json[key] = nullptr;
  const nn::DecoderConfig v3 = read(json);
  EXPECT_EQ(v3.latent->query_rank, 0);
  EXPECT_FALSE(v3.latent->interleaved || v3.moe->router.normalize);
  for (const char* family : {"mistral", "mixtral", "qwen2", "qwen3"}) {
    json = sizes(family, 64);
    json["num_key_value_heads"] = nullptr;
    EXPECT_EQ(read(json).num_kv_heads, 64) << family;
  }
}

struct Windows {
  const char* family;
  const char* settings;
  std::vector<int64_t> windows;  // of the four layers
};

TEST(Config, SlidingWindowsAreThoseOfTheFamilysClass) {
  const std::vector<int64_t> none(4, 0), all(4, 4096);
  const std::vector<Windows> cases = {
      {"mistral", "{}", all},
      {"mistral", R"({"sliding_window": null})", none},
      {"mixtral", "{}", none},
      {"mixtral", R"({"sliding_window": 9})", {9, 9, 9, 9}},
      {"qwen2", R"({"sliding_window": 9})", none},
      {"qwen2", R"({"use_sliding_window": true, "max_window_layers": 1})", {0, 4096, 4096, 4096}},
      {"qwen2", R"({"use_sliding_window": true, "sliding_window": null, "max_window_layers": 1})", none},
      {"qwen2", R"({"use_sliding_window": true, "sliding_window": 9})", none},  // 28 layers without
      {"qwen3", R"({"use_sliding_window": true, "max_window_layers": 2})", {0, 0, 4096, 4096}},
      {"qwen2_moe", R"({"sliding_window": 0})", none},
      {"qwen2_moe", R"({"use_sliding_window": true})", {4096, 0, 4096, 0}},
      {"qwen2_moe",
       R"({"use_sliding_window": true, "sliding_window": 9, "max_window_layers": 2})",
       {9, 0, 0, 0}},
      {"qwen2_moe",
       R"({"use_sliding_window": true, "layer_types":
           ["full_attention", "sliding_attention", "full_attention", "full_attention"]})",
       {0, 4096, 0, 0}},
      {"qwen3_moe", R"({"sliding_window": 9})", none},
      {"qwen3_moe", R"({"use_sliding_window": true})", all},
      {"qwen3_moe", R"({"use_sliding_window": true, "sliding_window": null})", none},
  };
  for (const Windows& windows : cases) {
    Json json = sizes(windows.family, 64);
    json.update(Json::parse(windows.settings));
    const nn::DecoderConfig decoder = read(json);
    std::vector<int64_t> found;
    for (int64_t layer = 0; layer < 4; ++layer) found.push_back(decoder.window_of(layer));
    EXPECT_EQ(found, windows.windows) << windows.family << " " << windows.settings;
  }
}

TEST(Config, ASilentFileMeansWhatTransformersAssumes) {
  const auto mistral = read_with("mistral-seq", [](Json& json) {
    json.erase("sliding_window");
    json["num_attention_heads"] = 16;
    json.erase("num_key_value_heads");
    json.erase("rms_norm_eps");
  });
  EXPECT_EQ(mistral.sliding_window, 4096);
  EXPECT_EQ(mistral.num_kv_heads, 8);
  EXPECT_EQ(mistral.norm_eps, 1e-6);
  EXPECT_EQ(read_with("mistral-seq", [](Json& json) { json["sliding_window"] = nullptr; }).sliding_window, 0);
  EXPECT_EQ(read_with("mistral-seq", [](Json& json) { json["num_key_value_heads"] = nullptr; }).num_kv_heads,
            4);
  EXPECT_EQ(read_with("qwen3-seq", [](Json& json) { json.erase("head_dim"); }).head_dim, 128);
  const auto neox = read_with("gpt_neox-seq", [](Json& json) {
    for (const char* key :
         {"rope_parameters", "hidden_act", "layer_norm_eps", "use_parallel_residual", "attention_bias"})
      json.erase(key);
  });
  EXPECT_EQ(neox.rotary_dim, 4);  // a quarter of 16
  EXPECT_EQ(neox.activation, "gelu");
  EXPECT_EQ(neox.norm_eps, 1e-5);
  EXPECT_TRUE(neox.parallel_residual && neox.qkv_bias && neox.o_bias && neox.mlp_bias && neox.fused_qkv);
}

TEST(Config, OldAndNewSpellingsMeanTheSame) {
  const auto same = [](const std::string& name, auto change) {
    const nn::DecoderConfig expected = read(load_json(fixture(name) / "config.json"));
    EXPECT_TRUE(read_with(name, change) == expected) << name;
  };
  same("gpt_neox_sequential-seq", [](Json& json) {
    json.erase("rope_parameters");
    json["rotary_pct"] = 0.5;
    json["rotary_emb_base"] = 10000;
  });
  same("llama_rope_yarn-seq", [](Json& json) {
    json["rope_scaling"] = {{"type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 32}};
    json.erase("rope_parameters");
  });
  // Where both are given the old one counts, as in transformers 5.
  same("llama_rope_yarn-seq", [](Json& json) {
    json["rope_scaling"] = json["rope_parameters"];
    json["rope_parameters"] = {{"rope_type", "default"}};
  });
  same("deepseek_v3-seq", [](Json& json) {
    json.erase("rope_parameters");
    json.erase("rope_interleave");
    json.erase("head_dim");
    json.erase("qk_head_dim");
    json["scoring_func"] = "sigmoid";
    json["topk_method"] = "noaux_tc";
    json["moe_layer_freq"] = 1;
    json["ep_size"] = 1;
  });
}

TEST(Config, YarnSettings) {
  const auto yarn = [](const Json& settings) {
    return read_with("llama-seq",
                     [&](Json& json) {
                       json["rope_scaling"] = {{"rope_type", "yarn"}, {"factor", 8}};
                       json["rope_scaling"].update(settings);
                     })
        .rotary;
  };
  EXPECT_EQ(yarn({{"factor", 3}}).original_max_position, 512);  // max_position_embeddings
  EXPECT_EQ(yarn({{"beta_fast", 0}, {"beta_slow", nullptr}}).beta_fast, 32);
  const auto scaled = yarn({{"mscale", 0.7}, {"mscale_all_dim", 1.0}, {"truncate", false}, {"beta_slow", 2}});
  EXPECT_EQ(scaled.mscale, 0.7);
  EXPECT_EQ(scaled.mscale_all_dim, 1);
  EXPECT_EQ(scaled.beta_slow, 2);
  EXPECT_FALSE(scaled.truncate);
  EXPECT_EQ(yarn({{"factor", nullptr}, {"original_max_position_embeddings", 128}}).factor, 4);
  const auto outside = read_with("llama_rope_yarn-seq", [](Json& json) {
    json["original_max_position_embeddings"] = 64;
    json["rope_scaling"] = Json::object();  // says nothing, as null
  });
  EXPECT_EQ(outside.rotary.original_max_position, 64);
}

// 1 / sqrt(width of a query) times the square of 0.1 mscale_all_dim ln(factor) + 1: both DeepSeek classes do
// so with every rotary type but the default one; the other families never.
TEST(Config, YarnScalesTheScoresOfLatentAttention) {
  const auto scale = [](const std::string& name, const Json& settings) {
    return read_with(name,
                     [&](Json& json) {
                       json.erase("rope_parameters");
                       json["rope_scaling"] = {{"type", "yarn"}, {"factor", 8}};
                       json["rope_scaling"].update(settings);
                     })
        .attention_scale();
  };
  const double factor = 0.1 * 0.7 * std::log(8.0) + 1;
  for (const char* name : {"deepseek_v2-seq", "deepseek_v3-seq"}) {
    const double plain = 1 / std::sqrt(24.0);
    EXPECT_DOUBLE_EQ(scale(name, {{"mscale", 1.5}, {"mscale_all_dim", 0.7}}), plain * factor * factor);
    EXPECT_DOUBLE_EQ(scale(name, {{"mscale", 1.5}}), plain);
    EXPECT_DOUBLE_EQ(scale(name, {{"mscale_all_dim", 0.7}, {"factor", 0.5}}), plain);
  }
  EXPECT_DOUBLE_EQ(scale("llama-seq", {{"mscale", 1.5}, {"mscale_all_dim", 0.7}}), 1 / std::sqrt(16.0));
}

TEST(Config, FamiliesOfExpertsDoNotWriteADecoderWithoutThem) {
  const nn::DecoderConfig dense = read(load_json(fixture("llama-seq") / "config.json"));
  for (const char* family : {"mixtral", "olmoe", "qwen2_moe", "qwen3_moe"}) {
    Json json = {{"model_type", family}};
    EXPECT_THAT(error_of([&] { find_family(family, family).write_config(dense, json); }),
                HasSubstr("cannot write a decoder without experts"));
  }
}

TEST(Config, EveryFamilyWritesWhatItReads) {
  for (const char* name : kFixtures) {
    const Json json = load_json(fixture(name) / "config.json");
    const nn::DecoderConfig decoder = read(json);
    Json written = {{"model_type", json["model_type"]}};
    find_family(json["model_type"].get<std::string>(), name).write_config(decoder, written);
    if (!written.contains("max_position_embeddings")) written["max_position_embeddings"] = 512;
    EXPECT_TRUE(read(written) == decoder) << name;
  }
}

}  // namespace
}  // namespace dmoerm::models
