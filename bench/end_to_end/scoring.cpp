// Scoring pairs and best of n, by the base and by LoRA experts.
#include <fmt/format.h>

#include "bench/end_to_end/contests.h"
#include "bench/end_to_end/experts.h"
#include "bench/end_to_end/packed_flops.h"
#include "bench/end_to_end/padded_eager.h"

namespace dmoerm::bench {
namespace {

// What the ways of a contest share.
struct Scoring {
  Scoring(const Setting& setting, Workload work, int64_t num_experts)
      : model(make_decoder(setting)),
        decoder(*model),
        padded(decoder),
        workload(std::move(work)),
        sequences(workload.sequences()),
        experts(draw_experts(decoder, setting, num_experts)) {
    for (const nn::LoraExpert& expert : experts.experts) one_expert.push_back({{expert}, false, 0, {0}});
  }

  Tensor packed() const { return reward::packed_states(decoder, &experts, workload.spans()); }
  Tensor packed_in_turn() const {
    std::vector<Tensor> states;
    for (const nn::ExpertSet& set : one_expert)
      states.push_back(reward::packed_states(decoder, &set, workload.spans()));
    return torch::cat(states, 1);
  }
  Tensor padded_in_turn(bool sorted) const {
    if (experts.experts.empty()) return padded.states(sequences, sorted).unsqueeze(1);
    std::vector<Tensor> states;
    for (const nn::LoraExpert& expert : experts.experts)
      states.push_back(padded.states(sequences, sorted, &expert));
    return torch::stack(states, 1);
  }

  std::shared_ptr<nn::Decoder> model;
  const nn::Decoder& decoder;
  PaddedEager padded;
  Workload workload;
  std::vector<Sequence> sequences;
  nn::ExpertSet experts;
  std::vector<nn::ExpertSet> one_expert;
};

Contest contest_of(const std::string& name, std::shared_ptr<const Scoring> scoring) {
  const auto runs = static_cast<double>(std::max<size_t>(1, scoring->experts.experts.size()));
  Contest contest;
  contest.workload = name;
  contest.device = scoring->decoder.device();
  contest.tolerance =
      scoring->decoder.weights().begin()->second.scalar_type() == torch::kFloat32 ? 1e-4 : 5e-2;
  contest.tokens = scoring->workload.num_tokens() * static_cast<int64_t>(runs);
  contest.ours.run = [=] { return std::vector<Tensor>{scoring->packed()}; };
  contest.ours.flops = runs * packed_flops(scoring->decoder.config(), scoring->workload);
  return contest;
}

Contest against_padded(Contest contest, std::shared_ptr<const Scoring> scoring) {
  const auto runs = static_cast<double>(std::max<size_t>(1, scoring->experts.experts.size()));
  contest.against = "padded";
  for (const bool sorted :
       scoring->workload.prompts.size() > 1 ? std::vector{false, true} : std::vector{false})
    contest.usual.push_back({[=] { return std::vector<Tensor>{scoring->padded_in_turn(sorted)}; },
                             runs * scoring->padded.flops(scoring->sequences, sorted)});
  return contest;
}

std::shared_ptr<const Scoring> best_of(const Setting& setting, int64_t num_experts) {
  return std::make_shared<Scoring>(setting,
                                   draw_best_of(setting.answers, setting.prompt_length, setting.answer_length,
                                                setting.config.vocab_size, setting.seed),
                                   num_experts);
}

}  // namespace

Contest score_pairs(const Setting& setting) {
  const Workload pairs = draw_pairs(setting.pairs, setting.lengths, setting.config.vocab_size, setting.seed);
  const auto scoring = std::make_shared<const Scoring>(setting, pairs, 0);
  return against_padded(contest_of(fmt::format("score {} pairs", setting.pairs), scoring), scoring);
}

Contest score_pairs_by_experts(const Setting& setting) {
  const Workload pairs =
      draw_pairs(setting.pairs / 4, setting.lengths, setting.config.vocab_size, setting.seed);
  const auto scoring = std::make_shared<const Scoring>(setting, pairs, setting.experts);
  const auto name = fmt::format("score {} pairs, {} experts", setting.pairs / 4, setting.experts);
  return against_padded(contest_of(name, scoring), scoring);
}

Contest score_best_of(const Setting& setting) {
  const auto scoring = best_of(setting, 0);
  return against_padded(contest_of(fmt::format("best of {}", setting.answers), scoring), scoring);
}

Contest score_experts(const Setting& setting) {
  const auto scoring = best_of(setting, setting.experts);
  const auto name = fmt::format("best of {}, {} experts", setting.answers, setting.experts);
  return against_padded(contest_of(name, scoring), scoring);
}

Contest score_experts_together(const Setting& setting) {
  const auto scoring = best_of(setting, setting.experts);
  Contest contest =
      contest_of(fmt::format("best of {}, {} experts together", setting.answers, setting.experts), scoring);
  contest.against = "packed, an expert after another";
  contest.usual = {{[=] { return std::vector<Tensor>{scoring->packed_in_turn()}; }, contest.ours.flops}};
  return contest;
}

}  // namespace dmoerm::bench
