#include "dmoerm/train/trainer.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>

#include "dmoerm/core/device_memory.h"
#include "dmoerm/core/error.h"
#include "dmoerm/core/log.h"

namespace dmoerm::train {
namespace {

std::atomic<bool> stop{false};

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int64_t count_examples(const std::vector<Source>& sources) {
  int64_t count = 0;
  for (const Source& source : sources) count += source.end - source.begin;
  return count;
}

void copy_into(const Tensor& target, const Tensor& source) {
  torch::NoGradGuard no_grad;
  target.copy_(source);
}

std::string rate_text(double per_second) {
  if (per_second >= 1e6) return fmt::format("{:.1f}M", per_second / 1e6);
  if (per_second >= 1e3) return fmt::format("{:.1f}k", per_second / 1e3);
  return fmt::format("{:.0f}", per_second);
}

}  // namespace

void request_stop() {
  stop = true;
}

bool stop_requested() {
  return stop;
}

Trainer::Trainer(Objective& objective, TrainOptions options, uint64_t seed, std::string stage,
                 RunDirectory& run, double flops_rate)
    : objective_(objective),
      options_(options),
      seed_(seed),
      stage_(std::move(stage)),
      run_(run),
      flops_rate_(flops_rate) {
  for (int64_t i = 0; i < objective.num_lanes(); ++i) {
    Lane lane;
    lane.name = objective.lane_name(i);
    lane.parameters = objective.parameters(i);
    const std::vector<Source> sources = objective.sources(i);
    const int64_t count = count_examples(sources);
    if (count == 0) fail("train", "{}: {} has no training examples", stage_, lane.name);
    lane.order = std::make_unique<ExampleOrder>(sources, seed, lane.name);
    lane.batch = std::min(options_.batch, count);
    const int64_t steps_an_epoch = (count + lane.batch - 1) / lane.batch;
    lane.total_steps =
        std::max<int64_t>(1, std::llround(options_.epochs * static_cast<double>(steps_an_epoch)));
    if (options_.max_steps > 0) lane.total_steps = std::min(lane.total_steps, options_.max_steps);
    lane.eval_every = options_.eval_every > 0 ? options_.eval_every : steps_an_epoch;
    for (const auto& [name, parameter] : lane.parameters) {
      lane.masters.push_back(is_narrow(parameter) ? parameter.detach().to(torch::kFloat32) : Tensor());
      const Tensor& value = is_narrow(parameter) ? lane.masters.back() : parameter;
      lane.first_moments.push_back(torch::zeros_like(value).requires_grad_(false));
      lane.second_moments.push_back(torch::zeros_like(lane.first_moments.back()));
      lane.best.push_back(parameter.detach().clone());
    }
    lanes_.push_back(std::move(lane));
  }
}

void Trainer::run() {
  const c10::DeviceGuard on_device(lanes_[0].parameters[0].second.device());
  if (const auto state = run_.load_stage(stage_)) {
    restore(*state);
    if (state->description.at("finished").get<bool>()) return;
  }
  int64_t total = 0;
  for (const Lane& lane : lanes_) total = std::max(total, lane.total_steps);
  Progress progress(stage_, total, "steps");
  progress.start_at(step_);
  if (step_ == 0) evaluate_due();
  double saved_at = seconds_now(), tokens_rate = 0, mfu = 0;
  while (active()) {
    const double begin = seconds_now();
    StepResult result = take_step();
    std::vector<Json> measures = result.measures();
    const double seconds = seconds_now() - begin;
    const double smooth = tokens_rate == 0 ? 1 : 0.1;
    tokens_rate += smooth * (static_cast<double>(result.tokens) / seconds - tokens_rate);
    mfu += smooth * (result.flops / seconds / flops_rate_ - mfu);
    double loss = 0, trained = 0;
    for (size_t i = 0; i < lanes_.size(); ++i) {
      if (measures[i].is_null()) continue;
      measures[i].update({{"stage", stage_},
                          {"lane", lanes_[i].name},
                          {"step", lanes_[i].steps},
                          {"tokens_per_s", std::round(tokens_rate)},
                          {"mfu", mfu}});
      run_.append_metrics(measures[i]);
      loss += measures[i]["loss"].get<double>();
      trained += 1;
    }
    evaluate_due();
    double score = 0;
    for (const Lane& lane : lanes_) score += lane.best_score / static_cast<double>(lanes_.size());
    progress.advance(1, fmt::format("loss {:.4f}  best {:.4f}  {} tokens/s  MFU {:.0f}%", loss / trained,
                                    score, rate_text(tokens_rate), 100 * mfu));
    if (seconds_now() - saved_at >= options_.checkpoint_seconds || stop) {
      save(/*finished=*/false);
      saved_at = seconds_now();
    }
    if (stop)
      fail("train", "stopped at step {} of {}; the same command with --resume goes on", step_, stage_);
  }
  use_best_weights();
  save(/*finished=*/true);
}

bool Trainer::active() const {
  for (const Lane& lane : lanes_)
    if (!lane.finished) return true;
  return false;
}

StepRequest Trainer::draw_step() {
  StepRequest request;
  request.step = step_;
  for (Lane& lane : lanes_) {
    std::vector<int64_t> examples;
    if (!lane.finished)
      for (int64_t i = 0; i < lane.batch; ++i) examples.push_back(lane.order->next());
    request.examples.push_back(std::move(examples));
  }
  return request;
}

template <typename Work>
auto Trainer::until_it_fits(const Work& work) {
  while (true) {
    for (Lane& lane : lanes_)
      for (auto& [name, parameter] : lane.parameters) parameter.mutable_grad() = Tensor();
    try {
      return work();
    } catch (const OutOfMemory&) {
      if (!objective_.shrink()) throw;
    }
    release_unused_memory(lanes_[0].parameters[0].second.device());
  }
}

StepResult Trainer::take_step() {
  const StepRequest request = next_ ? *std::exchange(next_, std::nullopt) : draw_step();
  StepResult result = until_it_fits([&] { return objective_.accumulate(request); });
  std::vector<std::optional<std::pair<Tensor, double>>> updates(lanes_.size());
  for (size_t i = 0; i < lanes_.size(); ++i)
    if (!request.examples[i].empty()) updates[i] = update(lanes_[i]);
  ++step_;
  // A lane that ends with this step has no use for what is drawn for it.
  if (std::ranges::all_of(lanes_, [](const Lane& lane) { return lane.finished || !lane.evaluation_due(); })) {
    next_ = draw_step();
    objective_.prepare(*next_);
  }
  result.measures = [this, updates, measures = std::move(result.measures)] {
    std::vector<Json> lines = measures();
    for (size_t i = 0; i < lanes_.size(); ++i) {
      if (!updates[i]) continue;
      const double norm = updates[i]->first.item<double>();
      if (!std::isfinite(norm))
        fail("train", "{}: the gradient of {} is not finite at step {}: lower the learning rate", stage_,
             lanes_[i].name, lanes_[i].steps - 1);
      lines[i].update({{"grad_norm", norm}, {"lr", updates[i]->second}});
    }
    return lines;
  };
  return result;
}

std::pair<Tensor, double> Trainer::update(Lane& lane) {
  torch::NoGradGuard no_grad;
  std::vector<Tensor> gradients;
  for (const auto& [name, parameter] : lane.parameters) gradients.push_back(parameter.grad());
  const Tensor norm = ops::global_norm(gradients);
  ops::AdamWStep step;
  step.lr = options_.lr * schedule_factor(options_.schedule, lane.steps, lane.total_steps);
  step.beta1 = options_.beta1;
  step.beta2 = options_.beta2;
  step.eps = options_.eps;
  step.weight_decay = options_.weight_decay;
  step.step = ++lane.steps;
  step.grad_scale = ops::clip_scale(norm, options_.clip);
  std::vector<ops::AdamWSlot> slots;
  for (size_t i = 0; i < lane.parameters.size(); ++i)
    slots.push_back({lane.parameters[i].second, lane.masters[i], gradients[i], lane.first_moments[i],
                     lane.second_moments[i]});
  ops::adamw_(slots, step);
  return {norm, step.lr};
}

void Trainer::evaluate_due() {
  std::vector<int64_t> due;
  for (size_t i = 0; i < lanes_.size(); ++i) {
    const Lane& lane = lanes_[i];
    if (!lane.finished && lane.evaluation_due()) due.push_back(static_cast<int64_t>(i));
  }
  if (due.empty()) return;
  const std::vector<Evaluation> evaluations = until_it_fits([&] { return objective_.evaluate(due); });
  for (size_t i = 0; i < due.size(); ++i) record(lanes_[due[i]], evaluations[i]);
}

void Trainer::record(Lane& lane, const Evaluation& evaluation) {
  const bool measured = !evaluation.measures.is_null();
  if (measured) {
    Json line = {{"stage", stage_}, {"lane", lane.name}, {"step", lane.steps}, {"eval", evaluation.measures}};
    run_.append_metrics(line);
  }
  lane.score = evaluation.score;
  if (!lane.evaluated || !measured || evaluation.score > lane.best_score) {
    lane.best_score = evaluation.score;
    lane.best_step = lane.steps;
    lane.evaluations_since_best = 0;
    if (options_.keep_best)
      for (size_t i = 0; i < lane.parameters.size(); ++i) copy_into(lane.best[i], lane.parameters[i].second);
  } else {
    ++lane.evaluations_since_best;
  }
  lane.evaluated = true;
  const bool patience_over = options_.patience > 0 && lane.evaluations_since_best >= options_.patience;
  lane.finished = lane.steps >= lane.total_steps || patience_over;
}

void Trainer::use_best_weights() {
  if (!options_.keep_best) return;
  for (Lane& lane : lanes_)
    for (size_t i = 0; i < lane.parameters.size(); ++i) {
      copy_into(lane.parameters[i].second, lane.best[i]);
      if (lane.masters[i].defined()) copy_into(lane.masters[i], lane.best[i]);
    }
}

void Trainer::save(bool finished) {
  NamedTensors tensors;
  Json lanes = Json::array();
  for (const Lane& lane : lanes_) {
    for (size_t i = 0; i < lane.parameters.size(); ++i) {
      const std::string key = lane.name + "/" + lane.parameters[i].first;
      tensors[key + "/value"] = lane.value(i);
      if (finished) continue;  // only the chosen weights are left
      tensors[key + "/m"] = lane.first_moments[i];
      tensors[key + "/v"] = lane.second_moments[i];
      if (options_.keep_best) tensors[key + "/best"] = lane.best[i];
    }
    lanes.push_back({{"name", lane.name},
                     {"steps", lane.steps},
                     {"best_step", lane.best_step},
                     {"best_score", lane.best_score},
                     {"since_best", lane.evaluations_since_best},
                     {"evaluated", lane.evaluated},
                     {"finished", lane.finished}});
  }
  run_.save_stage(stage_, std::move(tensors), {{"finished", finished}, {"step", step_}, {"lanes", lanes}});
}

void Trainer::restore(const StageState& state) {
  const bool finished = state.description.at("finished").get<bool>();
  const auto tensor = [&](const std::string& key) {
    const auto found = state.tensors.find(key);
    if (found == state.tensors.end()) fail("resume", "the saved state of {} lacks {}", stage_, key);
    return found->second;
  };
  step_ = state.description.at("step").get<int64_t>();
  for (size_t l = 0; l < lanes_.size(); ++l) {
    Lane& lane = lanes_[l];
    const Json& saved = state.description.at("lanes").at(l);
    for (size_t i = 0; i < lane.parameters.size(); ++i) {
      const std::string key = lane.name + "/" + lane.parameters[i].first;
      copy_into(lane.parameters[i].second, tensor(key + "/value"));
      if (lane.masters[i].defined()) copy_into(lane.masters[i], tensor(key + "/value"));
      if (finished) continue;
      copy_into(lane.first_moments[i], tensor(key + "/m"));
      copy_into(lane.second_moments[i], tensor(key + "/v"));
      if (options_.keep_best) copy_into(lane.best[i], tensor(key + "/best"));
    }
    if (finished) continue;
    lane.steps = saved.at("steps").get<int64_t>();
    lane.best_step = saved.at("best_step").get<int64_t>();
    lane.best_score = saved.at("best_score").get<double>();
    lane.evaluations_since_best = saved.at("since_best").get<int64_t>();
    lane.evaluated = saved.at("evaluated").get<bool>();
    lane.finished = saved.at("finished").get<bool>();
    lane.order->skip(lane.steps * lane.batch);
  }
}

}  // namespace dmoerm::train
