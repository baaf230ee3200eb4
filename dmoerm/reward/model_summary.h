// What a loaded model is made of: parts, shapes, parameter counts.
#pragma once

#include <string>

#include "dmoerm/reward/double_layer_model.h"

namespace dmoerm::reward {

// {"kind", "chat_format", "chat_format_description", "max_tokens", "vocabulary" | null, "parameters",
// "bases": [{"path", "family", "layers", "width", "vocabulary", "parameters"}…],
// "router": {"kind", "labels", "parameters"} | null,
// "tasks": [{"name", "aliases", "base", "experts": [{"point", "rank", "alpha", "layers", "parameters"}…],
// "aggregator": null | {"sum"} | {"shape", "parameters"}, "reward_mean", "reward_std"}…]}
Json summarize(const DoubleLayerModel& model);

std::string summary_text(const Json& summary);

}  // namespace dmoerm::reward
