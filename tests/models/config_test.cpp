// config.json of every family: what old and new spellings mean, what a silent file means, and that a setting
// that is not supported is refused by name.
#include "dmoerm/models/family.h"

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
