// Mixed traffic of a model in the full form: a router that is a model of its own, and for each task a base,
// experts and an aggregator. The bases do not fit the device together. Against the same records through one
// task's model alone, without a router, whose base stays on the device.
#include <fmt/format.h>

#include <algorithm>

#include "bench/end_to_end/contests.h"
#include "bench/end_to_end/experts.h"
#include "bench/end_to_end/packed_flops.h"
#include "dmoerm/core/error.h"
#include "dmoerm/reward/scorer.h"

namespace dmoerm::bench {
namespace {

constexpr int64_t kTasks = 5, kRun = 64;  // pairs of one task that come after one another
constexpr double kPlaces = 2.5;           // the memory for bases, in bases

std::string task_name(int64_t task) {
  return fmt::format("task {}", task);
}

// The prompt is what the two answers' sequences begin with alike. It ends with a token of its task, by which
// the router knows it.
data::PreferenceRecord record_of(const std::vector<Sequence>& pair, int64_t task) {
  const auto end = std::ranges::mismatch(pair[0], pair[1]).in1;
  const auto length = end - pair[0].begin();
  data::PreferenceRecord record;
  record.is_ids = true;
  record.prompt_ids.assign(pair[0].begin(), end);
  record.prompt_ids.back() = static_cast<int32_t>(task);
  for (const Sequence& sequence : pair)
    record.response_ids.emplace_back(sequence.begin() + length, sequence.end());
  return record;
}

models::Checkpoint checkpoint_of(std::shared_ptr<nn::Decoder> decoder) {
  models::Checkpoint checkpoint;
  checkpoint.family = "llama";
  checkpoint.decoder = std::move(decoder);
  return checkpoint;
}

// A router that knows the task of each record: its head is fitted to the states of the prompts.
reward::TaskRouter router_for(std::shared_ptr<nn::Decoder> decoder,
                              const std::vector<data::PreferenceRecord>& records) {
  reward::TaskRouter router;
  std::vector<reward::PromptSequences> prompts;
  for (const auto& record : records) prompts.push_back({record.prompt_ids});
  const Tensor z_ND = reward::packed_states(*decoder, nullptr, prompts).select(1, 0);
  Tensor wanted_NC = torch::zeros({z_ND.size(0), kTasks});
  for (int64_t task = 0; task < kTasks; ++task) {
    router.labels.push_back(task_name(task));
    wanted_NC.narrow(0, task * kRun, kRun).select(1, task).fill_(1);
  }
  const Tensor head_DC =
      torch::pinverse(z_ND.to(torch::kCPU, torch::kDouble), 1e-6).mm(wanted_NC.to(torch::kDouble));
  router.own = checkpoint_of(decoder);
  router.own->head = models::HeadKind::Score;
  router.own->score_weight = head_DC.t().contiguous().to(decoder->device(), torch::kFloat32);
  return router;
}

class Mixed {
 public:
  explicit Mixed(const Setting& setting) {
    const auto decoder = make_decoder(setting);
    const Workload pairs =
        draw_pairs(kTasks * kRun, setting.lengths, decoder->config().vocab_size, setting.seed);
    for (const auto& pair : pairs.prompts) records_.push_back(record_of(pair, std::ssize(records_) / kRun));
    tokens_ = setting.experts * pairs.num_tokens();
    flops_ = static_cast<double>(setting.experts) * packed_flops(decoder->config(), pairs);

    reward::DoubleLayerModel one;
    for (const Sequence& sequence : pairs.sequences())
      one.max_tokens = std::max(one.max_tokens, std::ssize(sequence));
    one.tasks = {inner_model(setting, decoder)};
    reward::DoubleLayerModel all = one;
    const auto bytes = [](const nn::Decoder& base) {
      int64_t sum = 0;
      for (const auto& [name, weight] : base.weights()) sum += static_cast<int64_t>(weight.nbytes());
      return static_cast<double>(sum);
    };
    all.residency = std::make_shared<reward::BaseResidency>(setting.device,
                                                            static_cast<int64_t>(kPlaces * bytes(*decoder)));
    all.tasks.assign(kTasks, one.tasks[0]);
    for (int64_t task = 0; task < kTasks; ++task) {
      NamedTensors weights;  // the same numbers in each, so that the results can be compared
      for (const auto& [name, weight] : decoder->weights())
        weights[name] = weight.to(torch::kCPU, /*non_blocking=*/false, /*copy=*/true);
      const auto base = std::make_shared<nn::Decoder>(decoder->config(), std::move(weights));
      all.residency->add(base);
      all.tasks[task].task = task_name(task);
      all.tasks[task].base =
          std::make_shared<reward::BaseModel>(reward::BaseModel{task_name(task), checkpoint_of(base)});
    }
    all.router = router_for(make_decoder(setting), records_);
    alone_ = std::make_unique<reward::Scorer>(std::move(one));
    mixed_ = std::make_unique<reward::Scorer>(std::move(all));
  }

  // In calls of so many records. The residency moves a base ahead of its use within a call.
  std::vector<Tensor> by_mixed(int64_t call) const {
    std::vector<reward::RecordScore> scores;
    for (int64_t begin = 0; begin < std::ssize(records_); begin += call)
      for (auto& score : mixed_->score(std::span(records_).subspan(begin, call)))
        scores.push_back(std::move(score));
    for (int64_t i = 0; i < std::ssize(scores); ++i)
      if (scores[i].error.empty() && scores[i].task != task_name(i / kRun))
        fail("mixed", "record {} went to \"{}\", expected \"{}\"", i, scores[i].task, task_name(i / kRun));
    return numbers_of(scores);
  }
  std::vector<Tensor> by_one() const { return numbers_of(alone_->score(records_)); }

  int64_t tokens() const { return tokens_; }
  double flops() const { return flops_; }

 private:
  static reward::InnerModel inner_model(const Setting& setting, std::shared_ptr<nn::Decoder> decoder) {
    const int64_t D = decoder->config().hidden_size;
    reward::InnerModel inner;
    inner.task = "alone";
    for (models::Adapter& adapter : draw_adapters(*decoder, setting, setting.experts)) {
      adapter.score_weight = torch::randn({1, D}, torch::TensorOptions(decoder->device()));
      inner.experts.push_back({fmt::format("point {}", inner.experts.size()), std::move(adapter)});
    }
    inner.aggregator = reward::Aggregator(setting.experts, D, setting.seed);
    inner.aggregator->to(decoder->device());
    inner.base = std::make_shared<reward::BaseModel>(reward::BaseModel{"base", checkpoint_of(decoder)});
    return inner;
  }

  // Rewards and scores by the experts.
  static std::vector<Tensor> numbers_of(const std::vector<reward::RecordScore>& scores) {
    std::vector<double> rewards, experts;
    for (const reward::RecordScore& score : scores) {
      if (!score.error.empty()) fail("mixed", "{}", score.error);
      rewards.insert(rewards.end(), score.rewards.begin(), score.rewards.end());
      for (const auto& expert : score.experts) experts.insert(experts.end(), expert.begin(), expert.end());
    }
    return {torch::tensor(rewards, torch::kDouble), torch::tensor(experts, torch::kDouble)};
  }

  std::vector<data::PreferenceRecord> records_;
  std::unique_ptr<reward::Scorer> alone_, mixed_;
  int64_t tokens_ = 0;
  double flops_ = 0;  // of the experts' passes, without the router's
};

Contest contest_of(const Setting& setting, int64_t call, const std::string& calls) {
  const auto mixed = std::make_shared<Mixed>(setting);
  Contest contest;
  contest.workload =
      fmt::format("full form, {} tasks in {} places, runs of {}, {}", kTasks, kPlaces, kRun, calls);
  contest.against = "one task's model that stays on the device";
  contest.device = setting.device;
  contest.time_usual = true;
  contest.tolerance = setting.dtype == torch::kFloat32 ? 1e-4 : 5e-2;
  contest.tokens = mixed->tokens();
  contest.ours = {[=] { return mixed->by_mixed(call); }, mixed->flops()};
  contest.usual = {{[=] { return mixed->by_one(); }, mixed->flops()}};
  return contest;
}

}  // namespace

Contest score_mixed(const Setting& setting) {
  return contest_of(setting, kTasks * kRun, "one call");
}

Contest score_mixed_in_calls(const Setting& setting) {
  return contest_of(setting, kRun, "a call a run");
}

}  // namespace dmoerm::bench
