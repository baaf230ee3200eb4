// Stored names of canonical weights, and stacks that are read from and written as one tensor an expert.
#include "dmoerm/models/weight_names.h"

#include "dmoerm/models/weight_files.h"
#include "tests/models/model_fixtures.h"

namespace dmoerm::models {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const WeightNames kRenamed = {"gpt_neox.",
                              "embed_out.weight",
                              {{"embed_tokens", {"embed_in"}},
                               {"self_attn.qkv_proj", {"attention.query_key_value"}},
                               {"mlp.experts.gate_up_proj", {"moe.*.w1.weight", "moe.*.w3.weight"}},
                               {"mlp.experts.down_proj", {"moe.*.w2.weight"}}}};

TEST(WeightNames, CanonicalNamesStayUnlessTheTableSaysOtherwise) {
  const WeightNames plain;
  EXPECT_THAT(plain.tensors_of("layers.12.mlp.up_proj.bias", {8}), ElementsAre("layers.12.mlp.up_proj.bias"));
  EXPECT_EQ(plain.module_of("layers.12.mlp.up_proj"), "model.layers.12.mlp.up_proj");
  EXPECT_THAT(kRenamed.tensors_of("embed_tokens.weight", {8, 4}), ElementsAre("embed_in.weight"));
  EXPECT_THAT(kRenamed.tensors_of("layers.0.self_attn.qkv_proj.bias", {12}),
              ElementsAre("layers.0.attention.query_key_value.bias"));
  EXPECT_EQ(kRenamed.module_of("layers.7.self_attn.qkv_proj"), "gpt_neox.layers.7.attention.query_key_value");
  EXPECT_THAT(kRenamed.tensors_of("layers.1.mlp.experts.gate_up_proj", {2, 6, 4}),
              ElementsAre("layers.1.moe.0.w1.weight", "layers.1.moe.0.w3.weight", "layers.1.moe.1.w1.weight",
                          "layers.1.moe.1.w3.weight"));
}

TEST(WeightFiles, RowsOfSeveralTensorsMakeOneWeight) {
  TemporaryDirectory directory;
  const Tensor stack = torch::randn({2, 6, 4});
  NamedTensors tensors;
  const auto names = kRenamed.tensors_of("layers.1.mlp.experts.gate_up_proj", {2, 6, 4});
  for (int64_t i = 0; i < 4; ++i) tensors[names[i]] = stack[i / 2].narrow(0, 3 * (i % 2), 3);
  save_safetensors(directory.path() / "model.safetensors", tensors);
  WeightFiles files(directory.path());
  EXPECT_TRUE(torch::equal(files.take(names, {2, 6, 4}, torch::kFloat32), stack));
  files.finish({});
  EXPECT_THAT(error_of([&] {
                files.take(names, {2, 8, 4}, torch::kFloat32);
              }),
              HasSubstr("layers.1.moe.0.w1.weight has shape [3, 4], expected [4, 4]"));
  EXPECT_THAT(error_of([&] {
                files.take({names[0], "layers.1.moe.9.w1.weight"}, {1, 6, 4}, torch::kFloat32);
              }),
              HasSubstr("layers.1.moe.9.w1.weight is missing"));
}

}  // namespace
}  // namespace dmoerm::models
