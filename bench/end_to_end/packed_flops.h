// Floating-point operations of the matrix products that the packed way needs.
#pragma once

#include "bench/end_to_end/workload.h"

namespace dmoerm::bench {

// A forward pass to the last states; the last layer's queries and feed-forward for the last tokens only. A
// shared prefix counts once. Low-rank products of experts and repeated prefixes of prompts cut by a token
// budget do not count.
double packed_flops(const nn::DecoderConfig& config, const Workload& workload);

}  // namespace dmoerm::bench
