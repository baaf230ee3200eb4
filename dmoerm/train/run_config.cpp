#include "dmoerm/train/run_config.h"

#include "dmoerm/core/error.h"
#include "dmoerm/core/log.h"

namespace dmoerm::train {
namespace {

constexpr Range kNotNegative = {};
constexpr Range kPositive = {.zero_allowed = false};
constexpr Range kShare = {.most = 1, .most_allowed = true};
constexpr Range kBelowOne = {.most = 1};
constexpr Range kSmoothing = {.most = 0.5};

void read_preference_stage(Config table, PreferenceStage& stage) {
  read_train_options(table, stage.train);
  read_number(table, "label_smoothing", stage.preference.label_smoothing, kSmoothing);
  read_number(table, "centering", stage.preference.centering, kNotNegative);
  table.get("token_budget", stage.preference.token_budget);
  table.get_choice("early_stop", stage.preference.early_stop, {"accuracy", "loss"});
  std::string share = stage.preference.share_prefix ? "on" : "off";
  table.get_choice("share_prefix", share, {"on", "off"});
  stage.preference.share_prefix = share == "on";
  if (stage.preference.token_budget < 1) table.invalid("token_budget", "a positive number of tokens");
}

// Of a base with MoE layers that is trained whole.
void read_router_losses(Config& table, const std::string& form, nn::RouterLossOptions& options) {
  read_number(table, "balance_loss", options.balance, kNotNegative);
  read_number(table, "z_loss", options.z, kNotNegative);
  std::string scope = "micro";
  table.get_choice("balance_scope", scope, {"micro", "group", "global"});
  options.scope = scope == "group"    ? nn::BalanceScope::Group
                  : scope == "global" ? nn::BalanceScope::Global
                                      : nn::BalanceScope::MicroBatch;
  const auto check = [&](const char* key, double weight) {
    if (weight > 0 && form != "full") table.invalid(key, "0, or with form = \"full\" a positive number");
  };
  check("balance_loss", options.balance);
  check("z_loss", options.z);
}

void read_aggregator_stage(Config table, AggregatorStage& stage) {
  read_train_options(table, stage.train);
  table.get_choice("start", stage.start, {"linear", "random"});
  read_number(table, "pull", stage.aggregator.pull, kNotNegative);
  read_number(table, "label_smoothing", stage.aggregator.label_smoothing, kSmoothing);
  read_number(table, "centering", stage.aggregator.centering, kNotNegative);
  table.get_choice("early_stop", stage.aggregator.early_stop, {"accuracy", "loss"});
}

DataSource read_source(Config table, bool weighted) {
  DataSource source;
  std::vector<std::string> files = table.required<std::vector<std::string>>("files");
  source.files.assign(files.begin(), files.end());
  if (source.files.empty()) table.invalid("files", "at least one file");
  read_number(table, "weight", source.weight, kPositive);
  if (!weighted && source.weight != 1)
    table.invalid("weight", "no weight: only kind \"single\" draws by weight");
  table.get("task", source.task);
  table.get("skip_bad", source.skip_bad);
  source.text_as_turn = read_text_as_turn(table);
  return source;
}

void read_tasks(Config& config, RunConfig& run) {
  std::string tasks = "builtin";
  config.get("tasks", tasks);
  run.tasks = tasks == "builtin" ? data::paper_tasks() : data::load_task_points(tasks);
}

}  // namespace

bool read_text_as_turn(Config& table) {
  std::string text = "raw";
  table.get_choice("text", text, {"raw", "turn"});
  return text == "turn";
}

void read_number(Config& table, const std::string& key, double& target, const Range& range) {
  table.get(key, target);
  const bool enough = range.zero_allowed ? target >= 0 : target > 0;
  if (enough && (range.most_allowed ? target <= range.most : target < range.most)) return;
  if (std::isinf(range.most))
    table.invalid(key, range.zero_allowed ? "a number, none negative" : "a positive number");
  table.invalid(key, fmt::format("a number {} 0 to {}{}", range.zero_allowed ? "from" : "above",
                                 range.most_allowed ? "" : "below ", range.most));
}

void read_train_options(Config& table, TrainOptions& options) {
  read_number(table, "epochs", options.epochs, kPositive);
  table.get("max_steps", options.max_steps);
  table.get("batch", options.batch);
  read_number(table, "lr", options.lr, kPositive);
  read_number(table, "beta1", options.beta1, kBelowOne);
  read_number(table, "beta2", options.beta2, kBelowOne);
  read_number(table, "eps", options.eps, kPositive);
  read_number(table, "weight_decay", options.weight_decay, kNotNegative);
  read_number(table, "clip", options.clip, kNotNegative);
  table.get_choice("schedule", options.schedule.kind, {"linear", "cosine", "constant"});
  read_number(table, "warmup", options.schedule.warmup_share, kShare);
  read_number(table, "final_lr", options.schedule.final_share, kShare);
  table.get("eval_every", options.eval_every);
  table.get("patience", options.patience);
  table.get("keep_best", options.keep_best);
  read_number(table, "checkpoint_seconds", options.checkpoint_seconds, kNotNegative);
  if (options.batch < 1) table.invalid("batch", "at least 1");
  if (options.max_steps < 0) table.invalid("max_steps", "0 (no limit) or more");
  if (options.eval_every < 0) table.invalid("eval_every", "0 (once an epoch) or a number of steps");
  if (options.patience < 0) table.invalid("patience", "0 (never stop early) or a number of evaluations");
}

void read_lora_options(Config table, models::LoraOptions& options) {
  table.get("rank", options.rank);
  read_number(table, "alpha", options.alpha, kPositive);
  read_number(table, "dropout", options.dropout, kBelowOne);
  table.get("rslora", options.rslora);
  table.get("target_modules", options.target_modules);
  if (options.rank < 1) table.invalid("rank", "at least 1");
}

namespace {

// A stage's [lora], which says nothing where its form is another.
void read_lora_of_form(Config& stage, bool used, std::string_view form, models::LoraOptions& options) {
  if (!used && stage.has("lora")) log().warn("{} has no effect: it goes with {}", stage.name("lora"), form);
  read_lora_options(stage.table("lora"), options);
}

}  // namespace

RunConfig parse_run_config(Config config) {
  RunConfig run;
  run.settings = config.values();
  config.get_choice("kind", run.kind, {"double_layer", "single"});
  run.out = config.required<std::string>("out");
  run.base = config.required<std::string>("base");
  int64_t seed = static_cast<int64_t>(run.seed);
  config.get("seed", seed);
  run.seed = static_cast<uint64_t>(seed);
  config.get("chat_format", run.encode.chat_format);
  text::ChatFormat::check_name(run.encode.chat_format);  // an unknown name is an error here, not hours later
  config.get("max_tokens", run.encode.max_tokens);
  if (run.encode.max_tokens < 2) config.invalid("max_tokens", "at least 2");
  std::string too_long = "truncate";
  config.get_choice("too_long", too_long, {"truncate", "drop", "error"});
  run.encode.too_long = too_long == "drop"    ? data::TooLong::Drop
                        : too_long == "error" ? data::TooLong::Error
                                              : data::TooLong::Truncate;
  for (Config& table : config.tables("data")) run.data.push_back(read_source(table, run.kind == "single"));
  if (run.data.empty()) fail("config", "{}: add at least one [[data]] table with files", config.name());
  Config split = config.table("split");
  read_number(split, "held_out", run.split.held_out, kBelowOne);

  run.phase1.train.patience = run.phase2.train.patience = 4;
  if (run.kind == "single") {
    Config train = config.table("train");
    train.get_choice("form", run.phase1_form, {"full", "lora"});
    read_lora_of_form(train, run.phase1_form == "lora", "form = \"lora\"", run.phase1_lora);
    read_preference_stage(train, run.phase1);
    read_router_losses(train, run.phase1_form, run.phase1.preference.router_loss);
    config.finish();
    return run;
  }
  read_number(split, "phase1", run.split.phase1, {.zero_allowed = false, .most = 1});
  read_tasks(config, run);
  std::vector<std::string> labels = config.required<std::vector<std::string>>("labels");
  run.labels.assign(labels.begin(), labels.end());
  Config router = config.table("router");
  router.get_choice("form", run.router.form, {"classifier", "adapter", "head", "none"});
  read_number(router, "held_out", run.router.held_out, kBelowOne);
  run.router.train.patience = 4;
  read_train_options(router, run.router.train);
  read_lora_of_form(router, run.router.form == "adapter", "form = \"adapter\"", run.router.lora);
  if (config.has("warm_start")) {
    Config warm_start = config.table("warm_start");
    run.warm_start.emplace().train.patience = 4;
    read_preference_stage(warm_start, *run.warm_start);
    read_router_losses(warm_start, "full", run.warm_start->preference.router_loss);
  }
  Config phase1 = config.table("phase1");
  phase1.get_choice("form", run.phase1_form, {"full", "lora"});
  if (run.phase1_form == "full" && (run.router.form == "adapter" || run.router.form == "head"))
    router.invalid("form", "classifier or none: with phase1.form = \"full\" the tasks share no base");
  read_lora_of_form(phase1, run.phase1_form == "lora", "form = \"lora\"", run.phase1_lora);
  read_preference_stage(phase1, run.phase1);
  read_router_losses(phase1, run.phase1_form, run.phase1.preference.router_loss);
  Config phase2 = config.table("phase2");
  read_preference_stage(phase2, run.phase2);
  if (run.phase1_form == "lora") {
    if (phase2.has("lora"))
      fail("config", "{}: with phase1.form = \"lora\" an expert goes on from its task's LoRA, [phase1.lora]",
           phase2.name("lora"));
    run.phase2_lora = run.phase1_lora;
  } else {
    read_lora_options(phase2.table("lora"), run.phase2_lora);
  }
  run.phase3.train = {.epochs = 200, .batch = 64, .lr = 3e-4, .weight_decay = 0, .patience = 8};
  run.phase3.train.schedule.kind = "constant";
  read_aggregator_stage(config.table("phase3"), run.phase3);
  config.finish();
  return run;
}

RunConfig load_run_config(const std::filesystem::path& path, const std::vector<std::string>& overrides) {
  return parse_run_config(Config::load(path, overrides));
}

}  // namespace dmoerm::train
