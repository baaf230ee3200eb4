#include "dmoerm/study/world_settings.h"

namespace dmoerm::study {
namespace {

constexpr const char* kPretrain = R"(
out = "${directory}/base"
tokenizer = "${directory}/tokenizer"
sequence_length = 128
token_budget = 4096

[model]
family = "llama"
hidden_size = 64
layers = 2
heads = 4
intermediate_size = 160
tied_embeddings = true

[[data]]
file = "${directory}/world/pretraining.txt"
unit = "line"

[train]
epochs = 100.0
max_steps = 3000
batch = 32
lr = 5e-3
beta2 = 0.98
weight_decay = 0.01
eval_every = 500
)";

constexpr const char* kDoubleLayer = R"(
kind = "double_layer"
base = "${directory}/base/model"
chat_format = "plain"
max_tokens = 128
labels = ["${labels}"]

[[data]]
files = ["${directory}/world/train.jsonl"]

[split]
held_out = 0.13

[router]
epochs = 4.0
batch = 32
lr = 1e-3
patience = 0

[phase1]
epochs = 12.0
batch = 8
lr = 1e-3
beta2 = 0.98
weight_decay = 0.05
patience = 4
token_budget = 4096
early_stop = "loss"  # steadier than accuracy on few noisy lists

[phase2]
epochs = 6.0
batch = 8
lr = 5e-3
beta2 = 0.98
weight_decay = 0.01
patience = 0
token_budget = 4096
early_stop = "loss"
[phase2.lora]
rank = 16
alpha = 16.0
target_modules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

[phase3]
epochs = 60.0
batch = 64
lr = 3e-4
weight_decay = 0.0
schedule = "constant"
patience = 8
)";

constexpr const char* kSingle = R"(
kind = "single"
base = "${directory}/base/model"
chat_format = "plain"
max_tokens = 128

[[data]]
files = ["${directory}/world/train.jsonl"]

[split]
held_out = 0.13

[train]
epochs = 20.0
batch = 16
lr = 5e-4
beta2 = 0.98
weight_decay = 0.05
patience = 4
token_budget = 4096
early_stop = "loss"
)";

std::vector<std::string> overrides(const std::filesystem::path& directory, uint64_t seed) {
  return {"vars.directory=" + directory.string(), fmt::format("seed={}", seed)};
}

train::RunConfig run_config(const char* settings, std::vector<std::string> changes) {
  changes.push_back("out=");  // the cell sets it for each run
  return train::parse_run_config(Config::parse(settings, "world", changes));
}

}  // namespace

train::PretrainConfig world_pretrain(const std::filesystem::path& directory, uint64_t seed) {
  return train::parse_pretrain_config(Config::parse(kPretrain, "world", overrides(directory, seed)));
}

train::RunConfig world_double_layer(const std::filesystem::path& directory,
                                    const std::filesystem::path& labels, uint64_t seed) {
  std::vector<std::string> changes = overrides(directory, seed);
  changes.push_back("vars.labels=" + labels.string());
  return run_config(kDoubleLayer, std::move(changes));
}

train::RunConfig world_single(const std::filesystem::path& directory, uint64_t seed) {
  return run_config(kSingle, overrides(directory, seed));
}

}  // namespace dmoerm::study
