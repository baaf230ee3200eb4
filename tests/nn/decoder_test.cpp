// The decoder against one written in plain loops, in double, a sequence at a time.
#include "dmoerm/nn/decoder.h"

#include "dmoerm/core/error.h"
#include "tests/nn/plain_decoder.h"

namespace dmoerm::nn {
namespace {

std::vector<std::pair<std::string, DecoderConfig>> variants() {
  std::vector<std::pair<std::string, DecoderConfig>> result;
  const auto add = [&](const char* name, auto change) {
    result.emplace_back(name, tiny_config());
    change(result.back().second);
  };
  add("plain", [](auto&) {});
  add("biases, gelu", [](auto& c) {
    c.qkv_bias = c.o_bias = c.mlp_bias = true;
    c.num_kv_heads = 4;
    c.activation = "gelu";
  });
  add("linear rotary, relu", [](auto& c) {
    c.rotary = {"linear", 100, 4};
    c.activation = "relu";
  });
  add("llama3, gelu_new, one kv head", [](auto& c) {
    c.rotary = {"llama3", 50, 4, 1, 4, 16};
    c.activation = "gelu_new";
    c.num_kv_heads = 1;
  });
  add("dynamic rotary, quick_gelu", [](auto& c) {
    c.rotary = {.type = "dynamic", .theta = 100, .factor = 3, .original_max_position = 8};
    c.activation = "quick_gelu";
  });
  add("yarn", [](auto& c) {
    c.rotary = {.type = "yarn", .theta = 100, .factor = 4, .original_max_position = 30, .beta_fast = 4};
  });
  add("yarn, own attention factor, not truncated", [](auto& c) {
    c.rotary = {.type = "yarn", .theta = 90, .factor = 4, .original_max_position = 30, .beta_fast = 3};
    c.rotary.attention_factor = 0.7;
    c.rotary.truncate = false;
  });
  add("window", [](auto& c) { c.sliding_window = 3; });
  add("one windowed layer", [](auto& c) {
    c.sliding_window = 5;
    c.windowed_layers = {false, true};
  });
  add("norms of query and key heads", [](auto& c) { c.query_key_norm = QueryKeyNorm::Head; });
  add("norms of queries and keys", [](auto& c) { c.query_key_norm = QueryKeyNorm::All; });
  const auto gpt_neox = [](auto& c) {
    c.norm = NormKind::Layer;
    c.norm_eps = 1e-3;
    c.num_kv_heads = 4;
    c.rotary_dim = 4;
    c.fused_qkv = c.qkv_bias = c.o_bias = c.mlp_bias = true;
    c.gated_mlp = false;
    c.activation = "gelu_fast";
  };
  add("gpt_neox, sequential", gpt_neox);
  add("gpt_neox, parallel", [&](auto& c) {
    gpt_neox(c);
    c.parallel_residual = true;
  });
  const auto latent = [](auto& c) {
    c.num_kv_heads = 4;
    c.head_dim = 14;
    c.latent = {.query_rank = 10, .key_value_rank = 6, .plain_dim = 8, .rotary_dim = 6, .value_dim = 5};
  };
  add("latent", latent);
  add("latent, queries not compressed, wide values, biases, halves", [&](auto& c) {
    latent(c);
    c.latent->query_rank = 0;
    c.latent->value_dim = 17;
    c.latent->interleaved = false;
    c.qkv_bias = c.o_bias = true;
  });
  add("latent, yarn with mscales, window", [&](auto& c) {
    latent(c);
    c.rotary = {.type = "yarn", .theta = 100, .factor = 4, .original_max_position = 30, .beta_fast = 4};
    c.rotary.mscale = 0.7;
    c.rotary.mscale_all_dim = 1.3;
    c.sliding_window = 4;
  });
  add("latent, dynamic", [&](auto& c) {
    latent(c);
    c.rotary = {.type = "dynamic", .theta = 100, .factor = 2, .original_max_position = 9};
  });
  return result;
}

TEST(Decoder, EqualsPlainReference) {
  torch::NoGradGuard no_grad;
  const auto tokens = random_tokens(14, 3);
  for (const auto& [name, config] : variants()) {
    const Decoder decoder = tiny_decoder(config, torch::kFloat64);
    // The rotary table is float32 as in transformers: that is the tolerance.
    expect_near(decoder.hidden(packed({tokens})), plain_hidden(decoder, tokens, nullptr), 2e-5, name);
    const ExpertSet experts = tiny_experts(config, torch::kFloat64);
    const Tensor z = decoder.last_hidden(packed({tokens}, 3), &experts);
    for (int64_t e = 0; e < 3; ++e)
      expect_near(z[e], plain_hidden(decoder, tokens, &experts.experts[e])[-1], 2e-5,
                  fmt::format("{}, expert {}", name, e));
  }
}

TEST(Decoder, LastHiddenIsHiddenOfLastTokens) {
  torch::NoGradGuard no_grad;
  for (const auto& [name, config] : variants()) {
    const Decoder decoder = tiny_decoder(config);
    const ExpertSet experts = tiny_experts(config);
    for (const auto& [group, sequences] : awkward_groups()) {
      const Batch batch = packed(sequences, 3, true, config.rotary.longest_common());
      const Tensor all = decoder.hidden(batch, &experts).index_select(0, batch.last_token_R);
      expect_near(decoder.last_hidden(batch, &experts), all, 1e-5, name + ", " + group);
    }
  }
}

// Each sequence as if it were alone, whatever it shares with its group.
TEST(Decoder, SharingChangesNothing) {
  torch::NoGradGuard no_grad;
  for (const auto& [name, config] : variants()) {
    const Decoder decoder = tiny_decoder(config, torch::kFloat64), fast = tiny_decoder(config);
    for (const auto& [group, sequences] : awkward_groups()) {
      const Batch batch = packed(sequences, 0, true, config.rotary.longest_common());
      const Tensor together = decoder.last_hidden(batch), kernels = fast.last_hidden(batch);
      for (size_t i = 0; i < sequences.size(); ++i) {
        const Tensor expected = plain_hidden(decoder, sequences[i], nullptr)[-1];
        expect_near(together[static_cast<int64_t>(i)], expected, 2e-5, name + ", " + group);
        expect_near(kernels[static_cast<int64_t>(i)], expected, 5e-5, name + ", " + group + ", float32");
      }
    }
  }
}

TEST(Decoder, InitialWeightsAreAFunctionOfTheSeed) {
  const Decoder a(tiny_config(), 1), b(tiny_config(), 1), c(tiny_config(), 2);
  for (const auto& [name, weight] : a.weights())
    EXPECT_TRUE(torch::equal(weight, b.weights().at(name))) << name;
  const std::string name = "layers.1.mlp.up_proj.weight";
  EXPECT_FALSE(torch::equal(a.weights().at(name), c.weights().at(name)));
  EXPECT_NEAR(a.weights().at(name).std().item<double>(), 0.02, 0.002);
  EXPECT_TRUE(torch::equal(a.weights().at("norm.weight"), torch::ones({24})));
}

TEST(Decoder, CountsMatmulParameters) {
  // q 32x24, k and v 16x24, o 24x32, gate, up and down 36x24, two layers.
  EXPECT_EQ(tiny_config().num_matmul_parameters(), 2 * (32 * 24 + 2 * 16 * 24 + 24 * 32 + 3 * 36 * 24));
}

template <typename Function>
std::string error_of(Function function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Decoder, RefusesTokensOutsideTheVocabulary) {
  const Decoder decoder = tiny_decoder(tiny_config());
  EXPECT_THAT(error_of([&] { decoder.hidden(packed({{1, 40}})); }), testing::HasSubstr("token id 40"));
  EXPECT_THAT(error_of([&] { packed({{1, -2}}); }), testing::HasSubstr("token id -2"));
  EXPECT_THAT(error_of([&] { to_device({}, torch::kCPU); }), testing::HasSubstr("no tokens"));
}

TEST(Decoder, RefusesShapesThatNoDecoderHas) {
  const auto error_with = [](auto change) {
    DecoderConfig config = tiny_config();
    change(config);
    return error_of([&] { Decoder(config, 1); });
  };
  using testing::HasSubstr;
  EXPECT_THAT(error_with([](auto& c) { c.num_kv_heads = 3; }),
              HasSubstr("4 attention heads are not a multiple of 3"));
  EXPECT_THAT(error_with([](auto& c) { c.head_dim = 7; }), HasSubstr("head_dim is 7"));
  EXPECT_THAT(error_with([](auto& c) { c.num_layers = 0; }), HasSubstr("number of layers is 0"));
  EXPECT_THAT(error_with([](auto& c) { c.hidden_size = -4; }), HasSubstr("hidden_size is -4"));
  EXPECT_THAT(error_with([](auto& c) { c.norm_eps = NAN; }), HasSubstr("norm epsilon is nan"));
  EXPECT_THAT(error_with([](auto& c) { c.activation = "tanhh"; }), HasSubstr("\"tanhh\" is not supported"));
  EXPECT_THAT(error_with([](auto& c) { c.rotary.type = "longrope"; }),
              HasSubstr("\"longrope\" is not supported"));
  EXPECT_THAT(error_with([](auto& c) { c.rotary_dim = 10; }), HasSubstr("10 channels of a head are rotated"));
  EXPECT_THAT(error_with([](auto& c) {
                c.rotary.type = "dynamic";
                c.rotary_dim = 2;
              }),
              HasSubstr("from 4 to 8"));
  EXPECT_THAT(error_with([](auto& c) {
                c.rotary.type = "yarn";
                c.rotary.theta = 0.5;
              }),
              HasSubstr("theta is 0.5"));
  EXPECT_THAT(error_with([](auto& c) {
                c.head_dim = 8;
                c.latent = {.key_value_rank = 0, .plain_dim = 4, .rotary_dim = 4, .value_dim = 4};
              }),
              HasSubstr("kv_lora_rank is 0"));
  EXPECT_THAT(error_with([](auto& c) { c.rotary.theta = 0; }), HasSubstr("theta is 0"));
  EXPECT_THAT(error_with([](auto& c) { c.windowed_layers = {true}; }), HasSubstr("given for 1 layers"));
}

}  // namespace
}  // namespace dmoerm::nn
