// DeepSeek-V3: latent attention, experts chosen by sigmoid scores with a correction bias, within the best
// groups. DeepseekV3Config of transformers 4 and 5.
#include "dmoerm/models/family.h"
#include "dmoerm/models/latent_settings.h"

namespace dmoerm::models {
namespace {

nn::DecoderConfig read_deepseek_v3(ConfigReader& config) {
  nn::DecoderConfig decoder = read_deepseek(config, {.num_kv_heads = 128,
                                                     .dense_layers = 3,
                                                     .shared_experts = 1,
                                                     .expert_scale = 2.5,
                                                     .experts_alias = "num_local_experts"});
  decoder.latent->interleaved = config.get("rope_interleave", true, false);
  const auto scoring = config.get<std::string>("scoring_func", "sigmoid");
  if (scoring != "sigmoid") fail(config.where(), "scoring_func is \"{}\", expected \"sigmoid\"", scoring);
  const auto method = config.get<std::string>("topk_method", "noaux_tc");
  if (method != "noaux_tc") fail(config.where(), "topk_method is \"{}\", expected \"noaux_tc\"", method);
  const auto groups = config.get<int64_t>("n_group", 8), top_groups = config.get<int64_t>("topk_group", 4);
  const bool normalize = config.get("norm_topk_prob", true, false);
  if (decoder.moe) {
    nn::RouterConfig& router = decoder.moe->router;
    router.score = nn::RouterScore::Sigmoid;
    router.normalize = normalize;
    router.correction_bias = true;
    router.num_groups = groups;
    router.top_groups = top_groups;
    router.group_best = 2;
  }
  decoder.validate(config.where());
  return decoder;
}

void write_deepseek_v3(const nn::DecoderConfig& decoder, Json& config) {
  write_deepseek(decoder, config);
  if (decoder.latent) config["rope_interleave"] = decoder.latent->interleaved;
}

}  // namespace

const Family kDeepseekV3 = {"deepseek_v3", "DeepseekV3", read_deepseek_v3, write_deepseek_v3,
                            deepseek_names()};

}  // namespace dmoerm::models
