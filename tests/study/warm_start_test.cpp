// A double-layer run whose tasks start from a plain model of all tasks.
#include "dmoerm/reward/double_layer_model.h"
#include "dmoerm/train/double_layer_run.h"
#include "dmoerm/train/run_data.h"
#include "tests/study/two_task_fixture.h"

namespace dmoerm::train {
namespace {

class WarmStartTest : public TwoTaskTest {
 protected:
  // Router and phases 1 and 2 that change next to nothing, so that what they start from is seen in the model.
  reward::DoubleLayerModel run(const std::string& name, const std::string& form, const std::string& more) {
    const std::string keys = fmt::format(R"(
kind = "double_layer"
base = "{0}/base"
out = "{0}/{1}"
chat_format = "chatml"
max_tokens = 64
labels = ["{0}/labels.jsonl"]
tasks = "{0}/tasks.toml"
data = [{{files = ["{0}/data.jsonl"]}}]
router = {{max_steps = 1, lr = 1e-9}}
phase1 = {{form = "{2}", max_steps = 1, lr = 1e-9}}
phase2 = {{max_steps = 1, lr = 1e-9}}
phase3 = {{max_steps = 1}}
{3}
)",
                                         directory_.string(), name, form, more);
    write_file_atomically(directory_ / "tasks.toml",
                          "[[task]]\nname = \"a\"\npoints = [\"first\"]\n"
                          "[[task]]\nname = \"b\"\npoints = [\"second\"]\n");
    write_file_atomically(directory_ / (name + ".toml"), keys);
    const RunConfig config = load_run_config(directory_ / (name + ".toml"));
    train_double_layer(config, {false, torch::kCPU, torch::kFloat32});
    return reward::DoubleLayerModel::load(config.out / "model");
  }

  static const Tensor& weight_of(const reward::InnerModel& inner) {
    return inner.decoder().weights().at("layers.0.mlp.up_proj.weight");
  }

  // All weights of a decoder are those that `expected` gives for their names, to the steps' 1e-9.
  template <typename Expected>
  static void expect_weights(const nn::Decoder& decoder, const Expected& expected) {
    for (const auto& [name, weight] : decoder.weights())
      EXPECT_TRUE(torch::allclose(weight, expected(name), 0, 1e-6)) << name;
  }
};

TEST_F(WarmStartTest, TasksStartFromItsWeightsAndTheRouterFromTheBase) {
  const reward::DoubleLayerModel model =
      run("warm", "full", "warm_start = {epochs = 1.0, batch = 1, lr = 1e-3}");
  const NamedTensors state = load_safetensors(directory_ / "warm" / "state" / "warm_start.safetensors");
  const models::Checkpoint base = models::load_checkpoint(directory_ / "base");
  const auto warm = [&](const std::string& name) { return state.at("all tasks/" + name + "/value"); };
  ASSERT_EQ(model.tasks.size(), 2u);
  for (const reward::InnerModel& inner : model.tasks) {
    expect_weights(inner.decoder(), warm);
    EXPECT_TRUE(torch::allclose(inner.base->checkpoint.score_weight, warm("score.weight"), 0, 1e-6));
  }
  ASSERT_TRUE(model.router && model.router->own);
  expect_weights(*model.router->own->decoder,
                 [&](const std::string& name) { return base.decoder->weights().at(name); });
  // It has learned something itself.
  const std::string name = "layers.0.mlp.up_proj.weight";
  EXPECT_GT((warm(name) - base.decoder->weights().at(name)).abs().max().item<double>(), 1e-3);
}

TEST_F(WarmStartTest, EveryTaskStartsFromOneModelOfPhase1sPrompts) {
  const reward::DoubleLayerModel cold = run("cold", "full", "");
  const models::Checkpoint base = models::load_checkpoint(directory_ / "base");
  EXPECT_TRUE(torch::allclose(weight_of(cold.tasks[0]),
                              base.decoder->weights().at("layers.0.mlp.up_proj.weight"), 0, 1e-6));
  const std::string options = "warm_start = {epochs = 1.0, batch = 1, lr = 1e-3}";
  const reward::DoubleLayerModel warm = run("warm", "full", options), shared = run("lora", "lora", options);
  EXPECT_TRUE(torch::allclose(weight_of(warm.tasks[0]), weight_of(warm.tasks[1]), 0, 1e-6));
  EXPECT_TRUE(torch::allclose(weight_of(warm.tasks[0]), weight_of(shared.tasks[0]), 0, 1e-6));
  EXPECT_GT((weight_of(warm.tasks[0]) - weight_of(cold.tasks[0])).abs().max().item<double>(), 1e-3);

  // A step for each prompt of phase 1 that is not held out; before the router.
  const data::GroupStore store =
      load_run_data(load_run_config(directory_ / "warm.toml"), text::Tokenizer::load(directory_ / "base"));
  const size_t prompts = human_examples(store, split_groups(store, all_groups(store), 1, {}).train).size();
  size_t steps = 0;
  std::string first;
  for (const Json& line : metrics(directory_ / "warm")) {
    if (first.empty()) first = line["stage"];
    steps += line["stage"] == "warm_start" && line.contains("loss");
  }
  EXPECT_EQ(first, "warm_start");
  EXPECT_EQ(steps, prompts);
}

}  // namespace
}  // namespace dmoerm::train
