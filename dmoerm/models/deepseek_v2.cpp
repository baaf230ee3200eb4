// DeepSeek-V2: latent attention, experts chosen by softmax scores. DeepseekV2Config of transformers 5.
#include "dmoerm/models/family.h"
#include "dmoerm/models/latent_settings.h"

namespace dmoerm::models {
namespace {

nn::DecoderConfig read_deepseek_v2(ConfigReader& config) {
  nn::DecoderConfig decoder = read_deepseek(config, {.experts_alias = "num_experts"});
  decoder.mlp_bias = config.get("mlp_bias", false);
  if (decoder.mlp_bias) fail(config.where(), "mlp_bias is true, expected false");
  const auto scoring = config.get<std::string>("scoring_func", "softmax");
  if (scoring != "softmax") fail(config.where(), "scoring_func is \"{}\", expected \"softmax\"", scoring);
  // transformers does not look at it, DeepSeek's own code does.
  if (config.get("norm_topk_prob", false)) fail(config.where(), "norm_topk_prob is true, expected false");
  const auto method = config.get<std::string>("topk_method", "greedy");
  if (method != "greedy" && method != "group_limited_greedy")
    fail(config.where(), "topk_method is \"{}\", expected \"greedy\" or \"group_limited_greedy\"", method);
  const auto groups = config.get<int64_t>("n_group", 1), top_groups = config.get<int64_t>("topk_group", 1);
  if (decoder.moe && method == "group_limited_greedy") {
    decoder.moe->router.num_groups = groups;
    decoder.moe->router.top_groups = top_groups;
  }
  decoder.validate(config.where());
  return decoder;
}

void write_deepseek_v2(const nn::DecoderConfig& decoder, Json& config) {
  write_deepseek(decoder, config);
  config["mlp_bias"] = false;
  if (decoder.moe)
    config["topk_method"] = decoder.moe->router.num_groups > 1 ? "group_limited_greedy" : "greedy";
}

}  // namespace

const Family kDeepseekV2 = {"deepseek_v2", "DeepseekV2", read_deepseek_v2, write_deepseek_v2,
                            deepseek_names()};

}  // namespace dmoerm::models
