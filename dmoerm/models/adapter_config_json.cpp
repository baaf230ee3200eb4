// Writing adapter_config.json.
#include <cmath>

#include "dmoerm/models/adapter_config.h"

namespace dmoerm::models {
namespace {

// PEFT writes alpha as a whole number where it is one.
Json number(double value) {
  const double whole = std::round(value);
  if (std::abs(value - whole) <= 1e-9 * std::abs(value)) return static_cast<int64_t>(whole);
  return value;
}

}  // namespace

Json adapter_config_json(const Adapter& adapter) {
  const LoraOptions& options = adapter.options;
  Json ranks = Json::object(), alphas = Json::object();
  for (const auto& [layer, pair] : adapter.lora.pairs) {
    const int64_t rank = pair.a.size(0);
    const double alpha = pair.scale / lora_scale(1, rank, options.rslora);
    if (rank != options.rank) ranks[layer] = rank;
    if (std::abs(alpha - options.alpha) > 1e-9 * std::abs(options.alpha)) alphas[layer] = number(alpha);
  }
  const bool has_head = adapter.score_weight.defined();
  return {{"peft_type", "LORA"},
          {"task_type", has_head ? "SEQ_CLS" : "CAUSAL_LM"},
          {"base_model_name_or_path", adapter.base_model},
          {"r", options.rank},
          {"lora_alpha", number(options.alpha)},
          {"lora_dropout", options.dropout},
          {"use_rslora", options.rslora},
          {"target_modules", options.target_modules == std::vector<std::string>{"all-linear"}
                                 ? Json("all-linear")
                                 : Json(options.target_modules)},
          {"rank_pattern", ranks},
          {"alpha_pattern", alphas},
          {"modules_to_save", has_head ? Json::array({"score"}) : Json()},
          {"bias", "none"},
          {"fan_in_fan_out", false},
          {"use_dora", false},
          {"init_lora_weights", true},
          {"inference_mode", true}};
}

}  // namespace dmoerm::models
