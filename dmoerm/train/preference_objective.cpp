#include "dmoerm/train/preference_objective.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "dmoerm/core/device_copy.h"
#include "dmoerm/core/error.h"
#include "dmoerm/core/hash.h"
#include "dmoerm/train/gradient_sum.h"

namespace dmoerm::train {
namespace {

// Edges of several units as tensors over their flattened rewards.
struct EdgeRows {
  std::vector<int64_t> better, worse;
  std::vector<float> weight, margin;

  // `begin`: the unit's first reward; `rows`: rewards a sequence.
  void add(const std::vector<ScoredEdge>& edges, int64_t begin, int64_t rows) {
    for (const ScoredEdge& edge : edges) {
      better.push_back(begin + edge.better * rows + edge.row);
      worse.push_back(begin + edge.worse * rows + edge.row);
      weight.push_back(edge.weight);
      margin.push_back(edge.margin);
    }
  }
  reward::RankingEdges build(torch::Device device) const {
    return {copy_to_device(better, device), copy_to_device(worse, device), copy_to_device(weight, device),
            copy_to_device(margin, device)};
  }
};

}  // namespace

// The sequences of an example that its edges use, and those edges with indices into them.
struct PreferenceObjective::Unit {
  int64_t lane = 0, group = 0;
  std::vector<std::vector<int32_t>> sequences;
  std::vector<ScoredEdge> edges;  // weights normalised: their sum is the example's share of the step's mean
  int64_t cost = 0;               // tokens that packing will compute
};

// Batches of units; a packed batch without tokens: a unit above the token budget, which is computed in
// chunks.
struct PreferenceObjective::Step {
  StepRequest request;
  std::vector<Unit> units;
  std::vector<std::pair<std::vector<const Unit*>, data::PackedBatch>> batches;
  nn::StepRows rows;  // where router losses are on
};

struct PreferenceObjective::Tally {
  double loss = 0, weight = 0, correct = 0, pairs = 0, margin = 0;
  double reward_sum = 0, reward_min = INFINITY, reward_max = -INFINITY, rewards = 0;

  void add_edge(double better, double worse, const ScoredEdge& edge, double smoothing, double centering) {
    const double difference = better - worse;
    const auto softplus = [](double x) {
      return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
    };
    double term =
        (1 - smoothing) * softplus(edge.margin - difference) + smoothing * softplus(difference + edge.margin);
    if (centering > 0) term += centering * (better + worse) * (better + worse);
    loss += edge.weight * term;
    weight += edge.weight;
    correct += difference > 0 ? 1 : difference == 0 ? 0.5 : 0;
    margin += difference;
    pairs += 1;
  }
  void add_reward(double reward) {
    reward_sum += reward;
    rewards += 1;
    reward_min = std::min(reward_min, reward);
    reward_max = std::max(reward_max, reward);
  }
  Json measures() const {
    return {{"loss", weight > 0 ? loss / weight : 0},
            {"accuracy", correct / pairs},
            {"margin", margin / pairs},
            {"pairs", pairs},
            {"reward_mean", reward_sum / rewards},
            {"reward_min", reward_min},
            {"reward_max", reward_max}};
  }
};

PreferenceObjective::PreferenceObjective(const data::GroupStore& store, nn::Decoder& decoder, bool train_base,
                                         std::vector<PreferenceLane> lanes, PreferenceOptions options,
                                         uint64_t seed)
    : store_(store),
      decoder_(decoder),
      train_base_(train_base),
      lanes_(std::move(lanes)),
      options_(options),
      seed_(seed) {
  DMOERM_ASSERT(!train_base || (lanes_.size() == 1 && !lanes_[0].lora));
  if (options_.router_loss.active() && !(train_base && decoder_.config().moe))
    fail("train", "router losses are for a base with MoE layers that is trained whole");
  decoder_.set_requires_grad(train_base);
  for (PreferenceLane& lane : lanes_) {
    lane.head_PD.set_requires_grad(true);
    if (!lane.lora) continue;
    for (auto& [layer, pair] : lane.lora->pairs) {
      pair.a.set_requires_grad(true);
      pair.b.set_requires_grad(true);
    }
    experts_.experts.push_back(*lane.lora);
    experts_.dropout_keys.push_back(hash64(lane.name));
  }
  DMOERM_ASSERT(experts_.experts.empty() || experts_.experts.size() == lanes_.size());
}

PreferenceObjective::~PreferenceObjective() {
  if (next_.valid()) next_.wait();
  decoder_.set_requires_grad(false);
  for (PreferenceLane& lane : lanes_)
    for (auto& [name, parameter] : parameters(&lane - lanes_.data())) {
      parameter.mutable_grad() = Tensor();
      parameter.set_requires_grad(false);
    }
}

NamedParameters PreferenceObjective::parameters(int64_t index) {
  PreferenceLane& lane = lanes_[index];
  NamedParameters result;
  if (train_base_)
    for (const auto& [name, weight] : decoder_.weights()) result.emplace_back(name, weight);
  if (lane.lora)
    for (const auto& [layer, pair] : lane.lora->pairs) {
      result.emplace_back(layer + ".lora_A", pair.a);
      result.emplace_back(layer + ".lora_B", pair.b);
    }
  result.emplace_back("score.weight", lane.head_PD);
  return result;
}

std::vector<Source> PreferenceObjective::sources(int64_t index) const {
  const PreferenceLane& lane = lanes_[index];
  if (!lane.sources.empty()) return lane.sources;
  return {{0, static_cast<int64_t>(lane.train.size()), 1}};
}

PreferenceObjective::Unit PreferenceObjective::load(int64_t lane, const PreferenceExample& example,
                                                    double weight) const {
  data::PromptGroup group = store_.get(example.group);
  Unit unit;
  unit.lane = lane;
  unit.group = example.group;
  unit.edges = example.edges;
  std::vector<int32_t> place(group.sequences.size(), -1);
  double total = 0;
  for (const ScoredEdge& edge : unit.edges) total += edge.weight;
  for (ScoredEdge& edge : unit.edges) {
    edge.weight = static_cast<float>(edge.weight * weight / total);
    for (int32_t* side : {&edge.better, &edge.worse}) {
      if (place[*side] < 0) {
        place[*side] = static_cast<int32_t>(unit.sequences.size());
        unit.sequences.push_back(std::move(group.sequences[*side]));
      }
      *side = place[*side];
    }
  }
  const std::vector<std::span<const int32_t>> spans(unit.sequences.begin(), unit.sequences.end());
  unit.cost = data::packed_size(spans, options_.share_prefix, longest_sharing());
  return unit;
}

// Rewards of all sequences of the units, one after another; a sequence has as many as its lane's head has
// rows.
Tensor PreferenceObjective::rewards(const std::vector<const Unit*>& units, int64_t& tokens) const {
  const data::PackedBatch packed = pack(units);
  tokens += packed.num_tokens();
  return run(units, packed, /*with_trace=*/false).rewards_N;
}

data::PackedBatch PreferenceObjective::pack(const std::vector<const Unit*>& units) const {
  std::vector<data::PackItem> items;
  for (const Unit* unit : units)
    for (const auto& sequence : unit->sequences)
      items.push_back(
          {sequence, unit->group, experts_.experts.empty() ? -1 : static_cast<int32_t>(unit->lane)});
  return data::pack(items, static_cast<int32_t>(experts_.experts.size()), options_.share_prefix,
                    longest_sharing());
}

PreferenceObjective::Pass PreferenceObjective::run(const std::vector<const Unit*>& units,
                                                   const data::PackedBatch& packed, bool with_trace) const {
  Pass pass;
  pass.batch = nn::to_device(packed, decoder_.device());
  nn::RoutingOptions routing;
  if (with_trace) routing.trace = &pass.trace;
  const nn::ExpertSet* experts = experts_.experts.empty() ? nullptr : &experts_;
  const Tensor z_RD = decoder_.last_hidden(pass.batch, experts, routing).to(torch::kFloat32);
  std::vector<Tensor> parts;
  int64_t row = 0;
  for (size_t i = 0; i < units.size();) {  // the units of a lane stand together: one product each
    const int64_t lane = units[i]->lane;
    int64_t count = 0;
    for (; i < units.size() && units[i]->lane == lane; ++i)
      count += static_cast<int64_t>(units[i]->sequences.size());
    parts.push_back(z_RD.narrow(0, row, count).mm(lanes_[lane].head_PD.t()).flatten());
    row += count;
  }
  pass.rewards_N = torch::cat(parts);
  return pass;
}

Tensor PreferenceObjective::backward(const std::vector<const Unit*>& units, const data::PackedBatch& packed,
                                     const nn::StepRows& rows) {
  const Pass pass = run(units, packed, options_.router_loss.active());
  const Tensor& rewards_N = pass.rewards_N;
  EdgeRows edges;
  int64_t begin = 0;
  for (const Unit* unit : units) {
    const int64_t head_rows = lanes_[unit->lane].head_PD.size(0);
    edges.add(unit->edges, begin, head_rows);
    begin += static_cast<int64_t>(unit->sequences.size()) * head_rows;
  }
  const Tensor loss = reward::ranking_loss(rewards_N, edges.build(rewards_N.device()), loss_options());
  with_router_loss(loss, pass, rows).backward();
  return rewards_N.detach();
}

void PreferenceObjective::tally(const std::vector<const Unit*>& units, const Tensor& rewards_N,
                                std::vector<Tally>& tallies) const {
  const Tensor host = rewards_N.to(torch::kCPU, torch::kFloat64).contiguous();
  const double* reward = host.data_ptr<double>();
  for (const Unit* unit : units) {
    const int64_t rows = lanes_[unit->lane].head_PD.size(0);
    Tally& tally = tallies[unit->lane];
    for (const ScoredEdge& edge : unit->edges) {
      const double better = reward[edge.better * rows + edge.row],
                   worse = reward[edge.worse * rows + edge.row];
      tally.add_edge(better, worse, edge, options_.label_smoothing, options_.centering);
      tally.add_reward(better);
      tally.add_reward(worse);
    }
    reward += static_cast<int64_t>(unit->sequences.size()) * rows;
  }
}

std::vector<PreferenceObjective::Unit> PreferenceObjective::chunks(const Unit& unit) const {
  std::vector<Unit> result;
  std::vector<std::span<const int32_t>> spans;
  for (const auto& sequence : unit.sequences) {
    spans.emplace_back(sequence);
    if (spans.size() == 1 ||
        data::packed_size(spans, options_.share_prefix, longest_sharing()) > options_.token_budget) {
      result.push_back({unit.lane, unit.group, {}, {}, 0});
      spans = {std::span<const int32_t>(sequence)};
    }
    result.back().sequences.push_back(sequence);
  }
  return result;
}

Tensor PreferenceObjective::with_router_loss(const Tensor& loss, const Pass& pass, const nn::StepRows& rows) {
  if (!options_.router_loss.active()) return loss;
  return loss + nn::router_loss(pass.trace, pass.batch, rows, options_.router_loss, loads_);
}

// Calls `visit(units, packed)` for every forward pass of the step; those of a group in chunks are packed
// anew.
template <typename Visit>
void PreferenceObjective::for_each_pass(const Step& step, Visit visit) const {
  for (const auto& [units, packed] : step.batches) {
    if (packed.num_tokens() > 0) {
      visit(units, packed);
      continue;
    }
    for (const Unit& part : chunks(*units[0])) {
      const std::vector<const Unit*> alone = {&part};
      visit(alone, pack(alone));
    }
  }
}

void PreferenceObjective::count_rows(Step& step) const {
  for_each_pass(step, [&](const std::vector<const Unit*>& units, const data::PackedBatch& packed) {
    std::vector<int64_t> groups;
    for (const Unit* unit : units) groups.insert(groups.end(), unit->sequences.size(), unit->group);
    step.rows.add(packed, groups);
  });
}

// The balance loss of scope Global wants the whole step's assignments before the first pass: a pass more of
// each batch, forward alone.
void PreferenceObjective::count_loads(const Step& step) {
  loads_ = {};
  const nn::RouterLossOptions& losses = options_.router_loss;
  const bool one_pass = step.batches.size() == 1 && step.batches[0].second.num_tokens() > 0;
  if (!(losses.balance > 0) || losses.scope != nn::BalanceScope::Global || one_pass) return;
  torch::NoGradGuard no_grad;
  loads_.step.emplace();
  for_each_pass(step, [&](const std::vector<const Unit*>& units, const data::PackedBatch& packed) {
    const Pass pass = run(units, packed, /*with_trace=*/true);
    nn::count_assignments(pass.trace, pass.batch, step.rows, *loads_.step);
  });
}

// A group above the token budget: its rewards first, chunk by chunk; then the loss's gradient in each reward
// is carried back through a second forward pass of each chunk. Exactly the gradient of the whole.
Tensor PreferenceObjective::backward_in_chunks(const Unit& unit, const nn::StepRows& rows, int64_t& tokens) {
  const bool with_trace = options_.router_loss.active();
  const std::vector<Unit> parts = chunks(unit);
  std::vector<Tensor> values;
  if (with_trace) loads_.group.emplace();
  for (const Unit& part : parts) {
    torch::NoGradGuard no_grad;
    const data::PackedBatch packed = pack({&part});
    tokens += packed.num_tokens();
    const Pass pass = run({&part}, packed, with_trace);
    values.push_back(pass.rewards_N);
    if (with_trace) nn::count_assignments(pass.trace, pass.batch, rows, *loads_.group);
  }
  const Tensor rewards_N = torch::cat(values).requires_grad_(true);
  EdgeRows edges;
  edges.add(unit.edges, 0, lanes_[unit.lane].head_PD.size(0));
  reward::ranking_loss(rewards_N, edges.build(rewards_N.device()), loss_options()).backward();
  int64_t begin = 0;
  for (const Unit& part : parts) {
    const data::PackedBatch packed = pack({&part});
    tokens += packed.num_tokens();
    const Pass again = run({&part}, packed, with_trace);
    const Tensor loss = again.rewards_N.dot(rewards_N.grad().narrow(0, begin, again.rewards_N.numel()));
    with_router_loss(loss, again, rows).backward();
    begin += again.rewards_N.numel();
  }
  loads_.group.reset();
  return rewards_N.detach();
}

std::shared_ptr<const PreferenceObjective::Step> PreferenceObjective::plan(const StepRequest& request) const {
  auto step = std::make_shared<Step>();
  step->request = request;
  for (size_t lane = 0; lane < lanes_.size(); ++lane) {
    const double weight = 1.0 / static_cast<double>(std::max<size_t>(1, request.examples[lane].size()));
    for (const int64_t example : request.examples[lane])
      step->units.push_back(load(static_cast<int64_t>(lane), lanes_[lane].train[example], weight));
  }
  std::vector<int64_t> costs;
  for (const Unit& unit : step->units) costs.push_back(unit.cost);
  for (std::vector<int64_t>& indices : data::plan_batches(costs, options_.token_budget)) {
    std::sort(indices.begin(), indices.end());
    std::vector<const Unit*> batch;
    for (const int64_t index : indices) batch.push_back(&step->units[index]);
    const bool in_chunks =
        batch.size() == 1 && batch[0]->cost > options_.token_budget && batch[0]->sequences.size() > 1;
    data::PackedBatch packed = in_chunks ? data::PackedBatch() : pack(batch);
    step->batches.emplace_back(std::move(batch), std::move(packed));
  }
  if (options_.router_loss.active()) count_rows(*step);
  return step;
}

// Ahead on a thread of its own, while a GPU computes; on the CPU it would only take the threads' time.
void PreferenceObjective::prepare(const StepRequest& next) {
  if (decoder_.device().is_cuda())
    next_ = std::async(std::launch::async, [this, next] { return plan(next); });
}

bool PreferenceObjective::shrink() {
  if (next_.valid()) next_.get();
  return halve_token_budget(options_.token_budget);
}

StepResult PreferenceObjective::accumulate(const StepRequest& request) {
  experts_.training = true;
  experts_.dropout_seed = hash_combine(seed_, static_cast<uint64_t>(request.step));
  std::shared_ptr<const Step> step;
  if (next_.valid()) step = next_.get();
  if (!step || step->request != request) step = plan(request);
  if (step->batches.size() > 1)
    for (size_t lane = 0; lane < lanes_.size(); ++lane) sum_gradients_in_float32(parameters(lane));
  count_loads(*step);
  StepResult result;
  UnitRewards rewards;
  for (const auto& [units, packed] : step->batches) {
    result.tokens += packed.num_tokens();
    rewards.emplace_back(units, packed.num_tokens() > 0
                                    ? backward(units, packed, step->rows)
                                    : backward_in_chunks(*units[0], step->rows, result.tokens));
  }
  result.measures = [this, step, rewards] {
    std::vector<Tally> tallies(lanes_.size());
    for (const auto& [units, rewards_N] : rewards) tally(units, rewards_N, tallies);
    std::vector<Json> measures;
    for (size_t lane = 0; lane < lanes_.size(); ++lane)
      measures.push_back(step->request.examples[lane].empty() ? Json() : tallies[lane].measures());
    return measures;
  };
  // Multiply-adds a weight and token: forward, gradient of the input, gradient of the weight (full training
  // only).
  const double passes = train_base_ ? 6 : 4;
  result.flops = passes * static_cast<double>(decoder_.config().num_matmul_parameters()) *
                 static_cast<double>(result.tokens);
  return result;
}

void PreferenceObjective::evaluate_units(const std::vector<Unit>& units, std::vector<Tally>& tallies) const {
  std::vector<int64_t> costs;
  for (const Unit& unit : units) costs.push_back(unit.cost);
  int64_t tokens = 0;
  for (const std::vector<int64_t>& indices : data::plan_batches(costs, options_.token_budget)) {
    std::vector<const Unit*> batch;
    for (const int64_t index : indices) batch.push_back(&units[index]);
    if (batch.size() > 1 || batch[0]->cost <= options_.token_budget) {
      tally(batch, rewards(batch, tokens), tallies);
      continue;
    }
    std::vector<Tensor> values;
    for (const Unit& part : chunks(*batch[0])) values.push_back(rewards({&part}, tokens));
    tally(batch, torch::cat(values), tallies);
  }
}

std::vector<Evaluation> PreferenceObjective::evaluate(const std::vector<int64_t>& lanes) {
  constexpr size_t kWindow = 1024;  // examples held in memory at once
  torch::NoGradGuard no_grad;
  experts_.training = false;
  std::vector<Tally> tallies(lanes_.size());
  std::vector<Unit> units;
  for (const int64_t lane : lanes) {
    for (const PreferenceExample& example : lanes_[lane].held_out) {
      units.push_back(load(lane, example, 1));
      if (units.size() < kWindow) continue;
      evaluate_units(units, tallies);
      units.clear();
    }
  }
  if (!units.empty()) evaluate_units(units, tallies);
  std::vector<Evaluation> result;
  for (const int64_t lane : lanes) {
    if (tallies[lane].pairs == 0) {
      result.push_back({});
      continue;
    }
    const Json measures = tallies[lane].measures();
    const double score =
        options_.early_stop == "loss" ? -measures["loss"].get<double>() : measures["accuracy"].get<double>();
    result.push_back({score, measures});
  }
  return result;
}

}  // namespace dmoerm::train
