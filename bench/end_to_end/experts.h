// LoRA experts to measure with.
#pragma once

#include "bench/end_to_end/contests.h"
#include "dmoerm/models/adapter.h"

namespace dmoerm::bench {

// On q and v, both factors random (a new expert's B is zero, which would hide errors).
std::vector<models::Adapter> draw_adapters(const nn::Decoder& decoder, const Setting& setting, int64_t count);
nn::ExpertSet draw_experts(const nn::Decoder& decoder, const Setting& setting, int64_t count);

}  // namespace dmoerm::bench
