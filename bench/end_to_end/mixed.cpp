// Mixed traffic of several tasks whose bases do not fit the device together, in runs of one task, against the
// same prompts through one base that stays there.
#include <fmt/format.h>

#include "bench/end_to_end/contests.h"
#include "bench/end_to_end/packed_flops.h"
#include "dmoerm/reward/base_residency.h"

namespace dmoerm::bench {
namespace {

constexpr int64_t kBases = 5, kRun = 64;

struct Mixed {
  explicit Mixed(const Setting& setting)
      : alone(make_decoder(setting)),
        workload(draw_pairs(kBases * kRun, setting.lengths, alone->config().vocab_size, setting.seed)) {
    int64_t bytes = 0;
    for (const auto& [name, weight] : alone->weights()) bytes += static_cast<int64_t>(weight.nbytes());
    residency = std::make_unique<reward::BaseResidency>(setting.device, bytes * 5 / 2);  // places for two
    for (int64_t i = 0; i < kBases; ++i) {
      NamedTensors weights;  // the same numbers in each, so that the results can be compared
      for (const auto& [name, weight] : alone->weights())
        weights[name] = weight.to(torch::kCPU, /*non_blocking=*/false, /*copy=*/true);
      bases.push_back(std::make_shared<nn::Decoder>(alone->config(), std::move(weights)));
      residency->add(bases.back());
    }
  }

  std::vector<reward::PromptSequences> run_of(int64_t task) const {
    const auto spans = workload.spans();
    return {spans.begin() + task * kRun, spans.begin() + (task + 1) * kRun};
  }

  std::vector<Tensor> by_residency() {
    std::vector<Tensor> states;
    for (int64_t task = 0; task < kBases; ++task) {
      residency->use(*bases[task]);
      residency->prefetch(*bases[(task + 1) % kBases]);
      states.push_back(reward::packed_states(*bases[task], nullptr, run_of(task)));
    }
    return {torch::cat(states)};
  }
  std::vector<Tensor> by_one_base() const {
    std::vector<Tensor> states;
    for (int64_t task = 0; task < kBases; ++task)
      states.push_back(reward::packed_states(*alone, nullptr, run_of(task)));
    return {torch::cat(states)};
  }

  std::shared_ptr<nn::Decoder> alone;
  Workload workload;
  std::unique_ptr<reward::BaseResidency> residency;
  std::vector<std::shared_ptr<nn::Decoder>> bases;
};

}  // namespace

Contest score_mixed(const Setting& setting) {
  const auto mixed = std::make_shared<Mixed>(setting);
  Contest contest;
  contest.workload =
      fmt::format("score {} pairs, {} bases in 2 places, runs of {}", kBases * kRun, kBases, kRun);
  contest.against = "one base that stays on the device";
  contest.device = setting.device;
  contest.time_usual = true;
  contest.tokens = mixed->workload.num_tokens();
  const double flops = packed_flops(mixed->alone->config(), mixed->workload);
  contest.ours = {[mixed] { return mixed->by_residency(); }, flops};
  contest.usual = {{[mixed] { return mixed->by_one_base(); }, flops}};
  return contest;
}

}  // namespace dmoerm::bench
