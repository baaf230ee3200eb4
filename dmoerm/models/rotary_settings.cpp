#include "dmoerm/models/rotary_settings.h"

#include "dmoerm/nn/rotary_frequencies.h"

namespace dmoerm::models {
namespace {

void read_yarn(ConfigReader& rope, double max_position, nn::RotaryConfig& rotary) {
  if (!rope.has("factor")) rotary.factor = max_position / rotary.original_max_position;
  // As in transformers, 0 means what an absent value means.
  if (const auto fast = rope.get("beta_fast", 0.0); fast != 0) rotary.beta_fast = fast;
  if (const auto slow = rope.get("beta_slow", 0.0); slow != 0) rotary.beta_slow = slow;
  rotary.mscale = rope.get("mscale", 0.0);
  rotary.mscale_all_dim = rope.get("mscale_all_dim", 0.0);
  rotary.truncate = rope.get("truncate", true);
  if (!rope.has("attention_factor")) return;
  rotary.attention_factor = rope.required<double>("attention_factor");
  if (rotary.attention_factor <= 0)
    fail(rope.where(), "attention_factor is {}, expected a positive number", rotary.attention_factor);
}

// The settings of one kind, inside of rope_scaling or rope_parameters. `outer_original`: the original length
// as said outside of them, which counts before the one inside; 0: not said.
void read_kind(ConfigReader& rope, double max_position, double outer_original, nn::RotaryConfig& rotary) {
  const bool may_lack_factor = rotary.type == "default" || rotary.type == "yarn";
  if (!may_lack_factor) rotary.factor = rope.required<double>("factor");
  if (rotary.type == "yarn") rotary.factor = rope.get("factor", 1.0);
  if (rotary.type == "dynamic") rotary.original_max_position = max_position;
  if (rotary.type == "llama3" || rotary.type == "yarn")
    rotary.original_max_position =
        outer_original != 0 ? outer_original : rope.get("original_max_position_embeddings", max_position);
  if (rotary.type == "llama3") {
    rotary.low_freq_factor = rope.required<double>("low_freq_factor");
    rotary.high_freq_factor = rope.required<double>("high_freq_factor");
  }
  if (rotary.type == "yarn") read_yarn(rope, max_position, rotary);
  rope.ignore({"factor", "original_max_position_embeddings"});  // of a kind that does not look at them
}

Json parameters(const nn::RotaryConfig& rotary) {
  Json rope = {{"rope_type", rotary.type}};
  if (rotary.type != "default") rope["factor"] = rotary.factor;
  if (rotary.type == "llama3" || rotary.type == "yarn")
    rope["original_max_position_embeddings"] = static_cast<int64_t>(rotary.original_max_position);
  if (rotary.type == "llama3") {
    rope["low_freq_factor"] = rotary.low_freq_factor;
    rope["high_freq_factor"] = rotary.high_freq_factor;
  }
  if (rotary.type == "yarn") {
    rope["beta_fast"] = rotary.beta_fast;
    rope["beta_slow"] = rotary.beta_slow;
    if (!rotary.truncate) rope["truncate"] = false;
    if (rotary.attention_factor != 0) rope["attention_factor"] = rotary.attention_factor;
    if (rotary.mscale != 0) rope["mscale"] = rotary.mscale;
    if (rotary.mscale_all_dim != 0) rope["mscale_all_dim"] = rotary.mscale_all_dim;
  }
  return rope;
}

}  // namespace

RotarySettings read_rotary(ConfigReader& config, const RotarySettings& fallback) {
  RotarySettings result = fallback;
  nn::RotaryConfig& rotary = result.rotary;
  rotary.theta = config.get("rope_theta", rotary.theta);
  result.partial_factor = config.get("partial_rotary_factor", result.partial_factor);
  // Families assume different lengths, so it must be said where it counts: a length of 0 is refused.
  const auto max_position = config.get<double>("max_position_embeddings", 0);
  const bool old_spelling = config.has("rope_scaling") && !config.raw("rope_scaling").empty();
  const char* key = old_spelling ? "rope_scaling" : "rope_parameters";
  if (!old_spelling && !config.has("rope_parameters")) return result;

  ConfigReader rope(config.raw(key), fmt::format("{}: {}", config.where(), key));
  rotary.type = rope.get<std::string>("rope_type", rope.get<std::string>("type", "default"));
  rotary.theta = rope.get("rope_theta", rotary.theta);
  result.partial_factor = rope.get("partial_rotary_factor", result.partial_factor);
  nn::check_rotary(rotary, rope.where());
  read_kind(rope, max_position, config.get("original_max_position_embeddings", 0.0), rotary);
  for (const std::string& name : rope.unknown())
    fail(rope.where(), "\"{}\" is not supported with rotary type {}", name, rotary.type);
  nn::check_rotary(rotary, rope.where());
  return result;
}

void write_rotary(const RotarySettings& settings, Json& config) {
  const nn::RotaryConfig& rotary = settings.rotary;
  Json rope = parameters(rotary);
  if (rotary.type == "dynamic")
    config["max_position_embeddings"] = static_cast<int64_t>(rotary.original_max_position);
  config["rope_theta"] = rotary.theta;
  config["rope_scaling"] = rotary.type == "default" ? Json() : rope;
  rope["rope_theta"] = rotary.theta;
  if (settings.partial_factor != 1) rope["partial_rotary_factor"] = settings.partial_factor;
  config["rope_parameters"] = rope;
}

}  // namespace dmoerm::models
