// LoRA experts with random updates.
#pragma once

#include "bench/end_to_end/contests.h"
#include "dmoerm/nn/expert_set.h"

namespace dmoerm::bench {

// On q_proj and v_proj, both factors random (a new expert's B is zero, which would hide errors).
nn::ExpertSet draw_experts(const nn::Decoder& decoder, const Setting& setting, int64_t count);

}  // namespace dmoerm::bench
