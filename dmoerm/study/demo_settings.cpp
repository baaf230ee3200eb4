#include "dmoerm/study/demo_settings.h"

namespace dmoerm::study {
namespace {

constexpr int64_t kMaxTokens = 128;
constexpr int64_t kTokenBudget = 4096;

train::PreferenceStage whole_model_stage() {
  train::PreferenceStage stage;
  stage.train = {.epochs = 20, .batch = 16, .lr = 5e-4, .beta2 = 0.98, .weight_decay = 0.05, .patience = 4};
  stage.preference.token_budget = kTokenBudget;
  stage.preference.early_stop = "loss";  // steadier than accuracy on few noisy lists
  return stage;
}

train::RunConfig common(const std::filesystem::path& directory, const std::string& name, uint64_t seed) {
  train::RunConfig run;
  run.out = directory / name;
  run.base = directory / "base" / "model";
  run.seed = seed;
  run.encode = {.chat_format = "plain", .max_tokens = kMaxTokens};
  run.split.held_out = 0.13;
  run.phase1 = whole_model_stage();
  return run;
}

}  // namespace

train::PretrainConfig demo_pretrain(const std::filesystem::path& directory, uint64_t seed) {
  train::PretrainConfig config;
  config.out = directory / "base";
  config.tokenizer = directory / "tokenizer";
  config.seed = seed;
  config.model.hidden_size = 64;
  config.model.num_layers = 2;
  config.model.num_heads = config.model.num_kv_heads = 4;
  config.model.head_dim = 16;
  config.model.intermediate_size = 160;
  config.model.tied_embeddings = true;
  config.data = {{directory / "world" / "pretraining.txt", "line", 0}};
  config.sequence_length = kMaxTokens;
  config.token_budget = kTokenBudget;
  config.train = {.epochs = 100,
                  .max_steps = 3000,
                  .batch = 32,
                  .lr = 5e-3,
                  .beta2 = 0.98,
                  .weight_decay = 0.01,
                  .eval_every = 500};
  return config;
}

train::RunConfig demo_double_layer(const std::filesystem::path& directory, const std::string& name,
                                   const std::filesystem::path& labels, uint64_t seed) {
  train::RunConfig run = common(directory, name, seed);
  run.kind = "double_layer";
  run.data = {{{directory / "world" / "train.jsonl"}}};
  run.labels = {labels};
  run.tasks = data::paper_tasks();
  run.router.train = {.epochs = 4, .batch = 32, .lr = 1e-3};
  run.phase1.train.epochs = 12;
  run.phase1.train.batch = 8;
  run.phase1.train.lr = 1e-3;
  run.phase2_lora = {.rank = 16, .alpha = 16};
  run.phase2_lora.target_modules = {"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                    "gate_proj", "up_proj", "down_proj"};
  run.phase2.train = {.epochs = 6, .batch = 8, .lr = 5e-3, .beta2 = 0.98, .weight_decay = 0.01};
  run.phase2.preference = whole_model_stage().preference;
  run.phase3.train = {.epochs = 60, .batch = 64, .lr = 3e-4, .weight_decay = 0, .patience = 8};
  run.phase3.train.schedule.kind = "constant";
  return run;
}

train::RunConfig demo_single(const std::filesystem::path& directory, const std::string& name,
                             const std::filesystem::path& file, uint64_t seed) {
  train::RunConfig run = common(directory, name, seed);
  run.kind = "single";
  run.data = {{{file}}};
  return run;
}

}  // namespace dmoerm::study
