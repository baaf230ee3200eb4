// R answers, G prompts, D width, P objectives.
#include "dmoerm/study/armorm.h"

#include <algorithm>
#include <unordered_map>

#include "dmoerm/core/hash.h"
#include "dmoerm/core/log.h"
#include "dmoerm/core/runtime.h"
#include "dmoerm/study/method.h"
#include "dmoerm/train/gate_objective.h"
#include "dmoerm/train/ratings.h"
#include "dmoerm/train/ridge.h"
#include "dmoerm/train/run_data.h"
#include "dmoerm/train/verbosity.h"

namespace dmoerm::study {
namespace {

uint64_t record_key(uint64_t prompt_hash, uint64_t answers_hash) {
  return hash_combine(prompt_hash, answers_hash);
}

std::vector<std::string> union_of_points(const std::vector<data::TaskPoints>& tasks) {
  std::vector<std::string> objectives;
  for (const data::TaskPoints& task : tasks)
    for (const std::string& point : task.points)
      if (!std::ranges::count(objectives, point)) objectives.push_back(point);
  return objectives;
}

// The gate's examples as they grow.
struct GateRows {
  train::GateExamples examples;
  std::vector<int64_t> groups;
  int64_t rows = 0, train_rows = 0;
  // Rows of each record's answers, by record_key().
  std::unordered_multimap<uint64_t, std::vector<int64_t>> rows_of_record;
};

class ArmoRmRun {
 public:
  ArmoRmRun(const train::RunConfig& config, const train::RunOptions& options, const ArmoRmOptions& armorm)
      : config_(config),
        armorm_(armorm),
        run_(config.out, options.resume),
        tokenizer_(text::Tokenizer::load(config.base)),
        store_(train::load_run_data(config, tokenizer_)),
        labels_(data::CapabilityLabels::load(config.labels)),
        context_{run_, store_, config.seed, measured_matmul_rate(options.device)},
        objectives_(union_of_points(config.tasks)) {
    Json identity = train::run_identity(config, store_, options.dtype);
    identity["(gate)"] = {{"hidden", armorm.gate.hidden},
                          {"layers", armorm.gate.layers},
                          {"temperature", armorm.gate.temperature},
                          {"length_correlation", armorm.length_correlation}};
    run_.begin(identity);
    base_ = models::load_checkpoint(config.base, {options.device, options.dtype});
    for (int64_t group = 0; group < store_.size(); ++group) {
      if (train::task_index(config.tasks, store_.task(group)) < 0)
        fail("train", "task {} is not one of the run's tasks", store_.task(group));
      groups_.push_back(group);
    }
  }

  reward::GatedModel train() {
    reward::RatingHeads heads = fit_heads();
    const GateRows rows = gate_rows();
    const train::GateExamples& examples = rows.examples;
    const double deviation = take_length_out(heads, rows);
    const Tensor& prompt_GD = examples.inputs.prompt_GD;
    reward::GatedHead head(armorm_.gate, heads,
                           {prompt_GD.mean(0), prompt_GD.std(0, /*unbiased=*/false).clamp_min(1e-6),
                            deviation > 0 ? 1 / deviation : 1, hash_combine(config_.seed, hash64("gate"))});
    {
      const train::AggregatorOptions& phase3 = config_.phase3.aggregator;
      train::GateObjective objective(head, examples,
                                     {{phase3.label_smoothing, phase3.centering}, phase3.early_stop});
      train::Trainer(objective, config_.phase3.train, config_.seed, "gate", run_, context_.flops_rate).run();
    }
    for (auto& [name, tensor] : head.tensors()) tensor = tensor.to(base_.decoder->device());
    reward::GatedModel model({base_, objectives_, std::move(head), config_.encode.chat_format,
                              config_.encode.max_tokens, tokenizer_});
    model.save(config_.out / "model");
    return model;
  }

 private:
  // The groups with a label.
  std::vector<int64_t> labelled(const std::vector<int64_t>& groups) const {
    std::vector<int64_t> result;
    for (const int64_t group : groups)
      for (const data::RecordAnswers& record : store_.get(group).records)
        if (!labels_.edges(record.id, record.answers_hash, record.sequence_of_answer.size()).empty()) {
          result.push_back(group);
          break;
        }
    return result;
  }

  Tensor states(const std::string& stage, const std::vector<int64_t>& groups) {
    return answer_states(context_, stage, *base_.decoder, {}, groups, token_budget()).select(1, 0);
  }

  // A stage that is not fitted again on resume.
  reward::RatingHeads fit_heads() {
    const std::string stage = "heads";
    if (const auto state = run_.load_stage(stage))
      return {state->tensors.at("weight"), state->tensors.at("bias"), {}};
    const train::GroupSplit split = train::split_groups(store_, groups_, 1, config_.split);
    std::vector<int64_t> groups = labelled(split.train);
    const std::vector<int64_t> held_out = labelled(split.held_out);
    train::RidgeData data;
    const Tensor train_RP = train::absolute_ratings(store_, groups, labels_, objectives_);
    data.num_train = train_RP.size(0);
    data.target_RP = torch::cat({train_RP, train::absolute_ratings(store_, held_out, labels_, objectives_)});
    groups.insert(groups.end(), held_out.begin(), held_out.end());
    if (groups.empty()) fail("train", "no record of phase 1 has a kept label");
    data.z_RD = states(stage, groups);
    const train::RidgeFit fit = train::fit_ridge(data, objectives_);
    for (size_t p = 0; p < objectives_.size(); ++p)
      run_.append_metrics({{"stage", stage},
                           {"lane", objectives_[p]},
                           {"penalty", fit.penalty[p]},
                           {"eval", {{"squared_error", fit.held_out_error[p]}}}});
    run_.save_stage(stage, {{"weight", fit.weight_PD}, {"bias", fit.offset_P}}, {{"finished", true}});
    return {fit.weight_PD, fit.offset_P, {}};
  }

  // The answers of phase 3's part and what scoring knows of them.
  GateRows gate_rows() {
    const train::GroupSplit split = train::split_groups(store_, groups_, 3, config_.split);
    GateRows rows;
    add_groups(split.train, rows.examples.train, rows);
    if (rows.rows == 0) fail("train", "no rankings are left to train the gate on");
    rows.train_rows = rows.rows;
    add_groups(split.held_out, rows.examples.held_out, rows);
    rows.examples.inputs.z_RD = states("gate", rows.groups);
    read_prompts_and_lengths(rows);
    return rows;
  }

  void add_groups(const std::vector<int64_t>& groups, std::vector<std::vector<data::Edge>>& edges,
                  GateRows& rows) {
    for (const train::PreferenceExample& example : train::human_examples(store_, groups)) {
      const data::PromptGroup content = store_.get(example.group);
      const auto first = static_cast<int32_t>(rows.rows);
      auto& own = edges.emplace_back();
      for (const data::Edge& edge : example.edges)
        own.push_back({edge.better + first, edge.worse + first, edge.weight, edge.margin});
      for (const data::RecordAnswers& record : content.records) {
        std::vector<int64_t> of_answers;
        for (const int32_t sequence : record.sequence_of_answer) of_answers.push_back(first + sequence);
        rows.rows_of_record.emplace(record_key(content.prompt_hash, record.answers_hash),
                                    std::move(of_answers));
      }
      rows.groups.push_back(example.group);
      rows.rows += std::ssize(content.sequences);
    }
  }

  void read_prompts_and_lengths(GateRows& rows) {
    const data::GroupEncoder encoder(tokenizer_, config_.encode);
    std::vector<double> length_R(rows.rows);
    std::vector<int64_t> prompt_R(rows.rows);
    std::map<std::vector<int32_t>, int64_t> inputs;  // of the gate, numbered
    train::read_run_records(config_, [&](const data::PreferenceRecord& record) {
      const auto [begin, end] =
          rows.rows_of_record.equal_range(record_key(data::prompt_hash(record), data::answers_hash(record)));
      if (begin == end) return;
      const std::vector<int64_t> lengths = encoder.answer_lengths(record);
      std::vector<int32_t> tokens = encoder.encode_router_input(record);
      if (tokens.empty()) fail("train", "record {} has no token that the gate could read", record.id);
      const auto input = inputs.try_emplace(std::move(tokens), std::ssize(inputs)).first;
      for (auto place = begin; place != end; ++place)
        for (size_t answer = 0; answer < lengths.size(); ++answer) {
          length_R[place->second[answer]] = static_cast<double>(lengths[answer]);
          prompt_R[place->second[answer]] = input->second;
        }
    });
    std::vector<reward::PromptSequences> prompts(inputs.size());
    for (const auto& [tokens, number] : inputs) prompts[number].push_back(tokens);
    reward::GatedInputs& target = rows.examples.inputs;
    target.length_R = torch::tensor(length_R, torch::kFloat64);
    target.prompt_R = torch::tensor(prompt_R);
    target.prompt_GD =
        reward::packed_states(*base_.decoder, nullptr, prompts, {token_budget()}).select(1, 0).cpu();
  }

  // Sets the heads' penalties of length; the deviation of the ratings' mean over the training answers.
  double take_length_out(reward::RatingHeads& heads, const GateRows& rows) const {
    const reward::GatedInputs& inputs = rows.examples.inputs;
    const Tensor length_R = inputs.length_R.narrow(0, 0, rows.train_rows);
    heads.length_mean = length_R.mean().item<double>();
    heads.length_std = length_R.std(0, /*unbiased=*/false).item<double>();
    if (heads.length_std == 0) heads.length_std = 1;
    const Tensor standard_R = ((length_R - heads.length_mean) / heads.length_std).contiguous();
    const std::span<const double> standard(standard_R.data_ptr<double>(), rows.train_rows);
    std::vector<double> penalties;
    Tensor sum_R = torch::zeros_like(standard_R);
    for (size_t p = 0; p < objectives_.size(); ++p) {
      const Tensor weight_D = heads.weight_PD[p].to(torch::kFloat32);
      const Tensor rating_R =
          inputs.z_RD.narrow(0, 0, rows.train_rows).mv(weight_D).to(torch::kFloat64).contiguous();
      penalties.push_back(train::verbosity_penalty({rating_R.data_ptr<double>(), standard.size()}, standard,
                                                   armorm_.length_correlation));
      log().info("{}: {:.4f} is taken off for each deviation of length", objectives_[p], penalties.back());
      sum_R += rating_R - penalties.back() * standard_R;
    }
    heads.penalty_P = torch::tensor(penalties, torch::kFloat64);
    return sum_R.std(0, /*unbiased=*/false).item<double>() / static_cast<double>(objectives_.size());
  }

  int64_t token_budget() const { return config_.phase1.preference.token_budget; }

  const train::RunConfig& config_;
  const ArmoRmOptions& armorm_;
  train::RunDirectory run_;
  text::Tokenizer tokenizer_;
  data::GroupStore store_;
  data::CapabilityLabels labels_;
  train::StageContext context_;
  std::vector<std::string> objectives_;
  models::Checkpoint base_;
  std::vector<int64_t> groups_;
};

}  // namespace

reward::GatedModel train_armorm(const train::RunConfig& config, const train::RunOptions& options,
                                const ArmoRmOptions& armorm) {
  return ArmoRmRun(config, options, armorm).train();
}

// On the states of the single model, which has seen human ranks: it takes the place of a warm start.
ScorerPointer make_armorm(const StudyCell& cell, const Method& method) {
  train::RunConfig config = cell.double_layer(method.name);
  config.base = cell.single_member(0);
  const fs::path made =
      cell.make_once(config, [&](const train::RunOptions& options) { train_armorm(config, options); });
  return std::make_unique<reward::GatedModel>(reward::GatedModel::load(made, cell.load_options()));
}

}  // namespace dmoerm::study
