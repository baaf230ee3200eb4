// A LoRA folded into its base.
#pragma once

#include "dmoerm/nn/decoder.h"

namespace dmoerm::models {

// A decoder that gives alone what `decoder` gives with `lora`: W + scale B A, computed in float32. Weights
// without an update are shared with `decoder`, not copied.
nn::Decoder merge_adapter(const nn::Decoder& decoder, const nn::LoraExpert& lora);

}  // namespace dmoerm::models
