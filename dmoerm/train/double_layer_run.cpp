#include "dmoerm/train/double_layer_run.h"

#include <set>

#include "dmoerm/core/hash.h"
#include "dmoerm/core/log.h"
#include "dmoerm/core/runtime.h"
#include "dmoerm/reward/sequence_scores.h"
#include "dmoerm/train/run_data.h"

namespace dmoerm::train {
namespace {

models::Adapter clone(const models::Adapter& adapter) {
  models::Adapter copy = adapter;
  for (auto& [layer, pair] : copy.lora.pairs) {
    pair.a = pair.a.detach().clone();
    pair.b = pair.b.detach().clone();
  }
  if (copy.score_weight.defined()) copy.score_weight = copy.score_weight.detach().clone();
  return copy;
}

models::Checkpoint clone(const models::Checkpoint& checkpoint) {
  models::Checkpoint copy = checkpoint;
  NamedTensors weights;
  for (const auto& [name, weight] : checkpoint.decoder->weights()) weights[name] = weight.detach().clone();
  copy.decoder = std::make_shared<nn::Decoder>(checkpoint.decoder->config(), std::move(weights));
  return copy;
}

// One double-layer run: what its steps share.
class DoubleLayerRun {
 public:
  DoubleLayerRun(const RunConfig& config, const RunOptions& options)
      : config_(config),
        load_{options.device, options.dtype},
        run_(config.out, options.resume),
        tokenizer_(text::Tokenizer::load(config.base)),
        store_(load_run_data(config, tokenizer_)),
        labels_(data::CapabilityLabels::load(config.labels)),
        context_{run_, store_, config.seed, measured_matmul_rate(options.device)},
        groups_(config.tasks.size()) {
    if (labels_.judges().size() > 1)
      log().warn("the labels are of several judges, {}: each counts, also where they judge the same answers",
                 fmt::join(labels_.judges(), ", "));
    for (int64_t group = 0; group < store_.size(); ++group) {
      const int64_t task = task_index(config_.tasks, store_.task(group));
      (task < 0 ? unknown_ : groups_[task]).push_back(group);
    }
    if (unknown_.empty())
      check_examples();  // before anything is trained, and before the run is bound to labels
    run_.begin(run_identity(config, store_, options.dtype));
  }

  reward::DoubleLayerModel train() {
    base_ = std::make_shared<reward::BaseModel>();
    base_->path = "base";
    base_->checkpoint = models::load_checkpoint(config_.base, load_);
    reward::DoubleLayerModel model;
    model.kind = "double_layer";
    model.chat_format = config_.encode.chat_format;
    model.max_tokens = config_.encode.max_tokens;
    model.tokenizer = tokenizer_;
    const RouterData router_data = load_router_data(config_, tokenizer_);
    if (config_.warm_start) train_warm_start(context_, base_->checkpoint, config_.split, *config_.warm_start);
    if (config_.router.form != "none") model.router = train_task_router(router_data);
    assign_unknown(router_data, model.router);
    for (size_t task = 0; task < config_.tasks.size(); ++task)
      if (!groups_[task].empty()) model.tasks.push_back(train_task(task));
    write_linear();
    model.save(config_.out / "model");  // what is there last says that all is there
    return model;
  }

  void train_aggregators(reward::DoubleLayerModel& model) {
    assign_unknown(load_router_data(config_, tokenizer_), model.router);
    for (reward::InnerModel& inner : model.tasks) {
      if (model.residency) model.residency->use(inner.decoder());
      train_phase3(inner,
                   split_groups(store_, groups_[task_index(config_.tasks, inner.task)], 3, config_.split));
    }
    write_linear();
  }

 private:
  reward::TaskRouter train_task_router(const RouterData& data) {
    reward::TaskRouter router;
    const std::vector<int64_t> label_of_task = name_labels(router);
    const auto num_tasks = std::ssize(router.labels);
    const uint64_t seed = hash_combine(config_.seed, hash64("router"));
    if (config_.router.form == "classifier") {
      router.kind = reward::RouterKind::Classifier;
      router.own = models::load_checkpoint(config_.base, load_);
      router.own->score_weight = new_head(*router.own, num_tasks, seed);
      router.own->head = models::HeadKind::Score;
      router.own->lm_weight = Tensor();
      router.own->labels = router.labels;
    } else {
      router.shared = base_->checkpoint.decoder;
      if (config_.router.form == "adapter") {
        router.kind = reward::RouterKind::Adapter;
        router.adapter =
            models::new_adapter(*router.shared, config_.router.lora, seed, base_->checkpoint.names());
        router.adapter->score_weight = new_head(base_->checkpoint, num_tasks, seed);
      } else {
        router.kind = reward::RouterKind::Head;
        router.head_CD = new_head(base_->checkpoint, num_tasks, seed);
      }
    }
    const auto labelled = [&](std::vector<RouterExample> examples) {
      for (RouterExample& example : examples) example.label = label_of_task[example.label];
      return examples;
    };
    train_router(context_, "router", router, labelled(data.train), labelled(data.held_out),
                 config_.router.train, config_.phase1.preference.token_budget);
    return router;
  }

  // Gives the router a label for each task that has data, and with it an inner model; the label of every
  // task.
  std::vector<int64_t> name_labels(reward::TaskRouter& router) const {
    std::vector<int64_t> label_of_task(config_.tasks.size(), -1);
    for (size_t task = 0; task < groups_.size(); ++task) {
      if (groups_[task].empty()) continue;
      label_of_task[task] = std::ssize(router.labels);
      router.labels.push_back(config_.tasks[task].name);
    }
    if (router.labels.empty())
      fail("train", "no record has a task that a [[task]] names, expected some for the router to learn from");
    return label_of_task;
  }

  // Groups of an unknown task go where the router sends them.
  void assign_unknown(const RouterData& router_data, const std::optional<reward::TaskRouter>& router) {
    std::map<uint64_t, int64_t> routed;
    if (!router_data.unknown_tasks.empty()) {
      if (!router)
        fail("train", "{} prompts have a task that no [[task]] names, and there is no router",
             router_data.unknown_tasks.size());
      std::vector<std::vector<int32_t>> inputs;
      for (const auto& [prompt, tokens] : router_data.unknown_tasks) inputs.push_back(tokens);
      const Tensor best = router->logits(inputs).argmax(1);
      int64_t i = 0;
      for (const auto& [prompt, tokens] : router_data.unknown_tasks)
        routed[prompt] = task_index(config_.tasks, router->labels[best[i++].item<int64_t>()]);
      log().info("{} prompts of unknown tasks were given one by the router", routed.size());
    }
    for (const int64_t group : unknown_) groups_[routed.at(store_.prompt_hash(group))].push_back(group);
    for (std::vector<int64_t>& groups : groups_) std::ranges::sort(groups);
    if (!unknown_.empty()) check_examples();
    for (size_t task = 0; task < groups_.size(); ++task)
      if (groups_[task].empty())
        log().warn("task {} has no data: it gets no inner model", config_.tasks[task].name);
  }

  // Error where a task with data has nothing to learn from in phase 1 or for one of its points.
  void check_examples() const {
    for (size_t task = 0; task < groups_.size(); ++task) {
      if (groups_[task].empty()) continue;
      const data::TaskPoints& plan = config_.tasks[task];
      const GroupSplit split = split_groups(store_, groups_[task], 1, config_.split);
      const auto none = [&](const auto& examples_of) {
        return std::ranges::none_of(split.train,
                                    [&](int64_t group) { return !examples_of({group}).empty(); });
      };
      using Groups = std::vector<int64_t>;
      if (none([&](const Groups& group) { return human_examples(store_, group); }))
        fail("train", "task {} has no rankings for phase 1", plan.name);
      for (const std::string& point : plan.points)
        if (none([&](const Groups& group) { return labelled_examples(store_, group, labels_, point); }))
          fail("train", "task {}: no kept label of {} on the records of phase 1", plan.name, point);
    }
  }

  reward::InnerModel train_task(size_t task) {
    const data::TaskPoints& plan = config_.tasks[task];
    const GroupSplit first = split_groups(store_, groups_[task], 1, config_.split);
    const GroupSplit third = split_groups(store_, groups_[task], 3, config_.split);
    reward::InnerModel model;
    model.task = plan.name;
    model.aliases = plan.aliases;
    std::vector<models::Adapter> adapters;
    std::vector<PreferenceLane> lanes;
    const models::Adapter phase1 = train_phase1(plan, first, model);
    for (const std::string& point : plan.points) {
      PreferenceLane lane;
      lane.name = point;
      lane.train = labelled_examples(store_, first.train, labels_, point);
      lane.held_out = labelled_examples(store_, first.held_out, labels_, point);
      lane.head_PD = phase1.score_weight.detach().clone();
      const uint64_t seed = hash_combine(config_.seed, hash64("expert/" + plan.name + "/" + point));
      adapters.push_back(config_.phase1_form == "lora"
                             ? clone(phase1)
                             : models::new_adapter(model.decoder(), config_.phase2_lora, seed,
                                                   model.base->checkpoint.names()));
      lanes.push_back(std::move(lane));
    }
    train_adapters(context_, "phase2/" + plan.name, *model.base->checkpoint.decoder, adapters,
                   std::move(lanes), config_.phase2);
    for (size_t i = 0; i < plan.points.size(); ++i)
      model.experts.push_back({plan.points[i], std::move(adapters[i])});

    train_phase3(model, third);
    return model;
  }

  void train_phase3(reward::InnerModel& model, const GroupSplit& split) {
    const std::string stage = "phase3/" + model.task;
    const StateExamples states = compute_states(context_, stage, model.decoder(), model.expert_set(), split,
                                                config_.phase2.preference.token_budget);
    const Tensor head_KD = model.heads();
    const LinearFit fit = fit_linear(states, head_KD);
    std::vector<std::string> points;
    for (const reward::CapabilityExpert& expert : model.experts) points.push_back(expert.point);
    linear_[model.task] = {
        {"points", points}, {"sum", fit.weights()}, {"deviation", reward::to_doubles(fit.std_K)}};
    set_aggregator(model, train_aggregator(context_, stage, states, head_KD, fit, config_.phase3), states);
  }

  // The fitted linear combination that each aggregator started from: each point's weight in it, and the
  // deviation of its scores. A baseline, and what each point contributes.
  void write_linear() const {
    write_file_atomically(config_.out / "linear.json", dump_json(linear_, 2) + "\n");
  }

  // Trains RM_t and sets the model's base. Returns the task's LoRA with its head; in form "full" only the
  // head.
  models::Adapter train_phase1(const data::TaskPoints& plan, const GroupSplit& split,
                               reward::InnerModel& model) {
    PreferenceLane lane;
    lane.name = plan.name;
    lane.train = human_examples(store_, split.train);
    lane.held_out = human_examples(store_, split.held_out);
    const uint64_t seed = hash_combine(config_.seed, hash64("phase1/" + plan.name));
    lane.head_PD = new_head(base_->checkpoint, 1, seed);
    const std::string stage = "phase1/" + plan.name;
    models::Adapter result;
    if (config_.phase1_form == "lora") {
      std::vector<models::Adapter> adapters = {models::new_adapter(
          *base_->checkpoint.decoder, config_.phase1_lora, seed, base_->checkpoint.names())};
      std::vector<PreferenceLane> lanes;
      lanes.push_back(std::move(lane));
      train_adapters(context_, stage, *base_->checkpoint.decoder, adapters, std::move(lanes), config_.phase1);
      model.base = base_;
      return adapters[0];
    }
    auto base = std::make_shared<reward::BaseModel>();
    base->path = "base/" + plan.name;
    base->checkpoint = clone(base_->checkpoint);
    train_whole(context_, stage, base->checkpoint, std::move(lane), config_.phase1);
    result.score_weight = base->checkpoint.score_weight;
    model.base = base;
    return result;
  }

  const RunConfig& config_;
  models::LoadOptions load_;
  RunDirectory run_;
  text::Tokenizer tokenizer_;
  data::GroupStore store_;
  data::CapabilityLabels labels_;
  StageContext context_;
  std::shared_ptr<reward::BaseModel> base_;
  std::vector<std::vector<int64_t>> groups_;  // of each task, ascending
  std::vector<int64_t> unknown_;              // those whose task no [[task]] names
  Json linear_ = Json::object();
};

}  // namespace

reward::DoubleLayerModel train_double_layer(const RunConfig& config, const RunOptions& options) {
  return DoubleLayerRun(config, options).train();
}

void train_aggregators(reward::DoubleLayerModel& model, const RunConfig& config, const RunOptions& options) {
  DoubleLayerRun(config, options).train_aggregators(model);
}

}  // namespace dmoerm::train
