// Training on a GPU: the reference's trace in float32; bfloat16 with float32 masters beside it.
#include <c10/cuda/CUDAFunctions.h>

#include "dmoerm/core/safetensors.h"
#include "dmoerm/ops/adamw.h"
#include "dmoerm/reward/packed_states.h"
#include "tests/train/train_fixture.h"

namespace dmoerm::train {
namespace {

class CudaTraining : public TrainTest {
 protected:
  void SetUp() override {
    if (!torch::cuda::is_available()) GTEST_SKIP() << "no GPU";
  }

  std::vector<Json> train_trace_on_gpu(const data::GroupStore& store, torch::ScalarType type, int64_t budget,
                                       const std::string& name) {
    models::Checkpoint base = models::load_checkpoint(kFixtures / "llama-seq", {torch::kCUDA, type});
    return train_trace(store, base, budget, name);
  }
};

TEST_F(CudaTraining, Float32FollowsTheReferencesTrace) {
  const SafeTensors trace(kFixtures / "train_trace.safetensors");
  const data::GroupStore store = make_store(trace_records(trace));
  const std::vector<Json> lines = train_trace_on_gpu(store, torch::kFloat32, 8192, "run");
  ASSERT_EQ(lines.size(), 8);
  for (int step = 0; step < 8; ++step) {
    EXPECT_NEAR(lines[step]["loss"].get<double>() / trace.tensor("losses")[step].item<double>(), 1, 2e-4)
        << step;
    EXPECT_NEAR(lines[step]["grad_norm"].get<double>() / trace.tensor("grad_norms")[step].item<double>(), 1,
                1e-3)
        << step;
  }
}

TEST_F(CudaTraining, BFloat16FollowsItNearby) {
  const SafeTensors trace(kFixtures / "train_trace.safetensors");
  const data::GroupStore store = make_store(trace_records(trace));
  for (const int64_t budget : {8192, 20}) {  // one batch a step; several, and groups in chunks
    const std::vector<Json> lines =
        train_trace_on_gpu(store, torch::kBFloat16, budget, fmt::format("run{}", budget));
    ASSERT_EQ(lines.size(), 8);
    for (int step = 0; step < 8; ++step)
      EXPECT_NEAR(lines[step]["loss"].get<double>(), trace.tensor("losses")[step].item<double>(), 4e-2)
          << "budget " << budget << " step " << step;
    EXPECT_NEAR(lines[0]["grad_norm"].get<double>() / trace.tensor("grad_norms")[0].item<double>(), 1, 5e-2);
  }
}

TEST_F(CudaTraining, ExpertsTogetherLearnAsOnTheCpu) {
  const data::GroupStore store = make_store(random_records(40, 3, 50, 3));
  std::vector<std::vector<double>> losses;
  for (const torch::Device device : {torch::Device(torch::kCPU), torch::Device(torch::kCUDA)}) {
    nn::Decoder decoder(tiny_config(), 3, torch::TensorOptions(device));
    RunDirectory run(directory_ / device.str(), false);
    run.begin({{"test", 1}});
    StageContext context{run, store, 1, 1e12};
    std::vector<models::Adapter> adapters;
    std::vector<PreferenceLane> lanes;
    for (int k = 0; k < 3; ++k) {
      adapters.push_back(models::new_adapter(decoder, {.rank = 4, .alpha = 8, .dropout = 0.1}, 5 + k));
      PreferenceLane lane;
      lane.name = fmt::format("expert{}", k);
      lane.head_PD = random_head(1, 16, 5 + k).to(device);
      lane.train = human_examples(store, all_groups(store));
      lanes.push_back(std::move(lane));
    }
    PreferenceStage stage;
    stage.train = {.epochs = 3, .batch = 8, .lr = 1e-2, .keep_best = false};
    train_adapters(context, "experts", decoder, adapters, std::move(lanes), stage);
    losses.emplace_back();
    for (const Json& line : metrics(directory_ / device.str()))
      if (line.contains("loss")) losses.back().push_back(line["loss"].get<double>());
  }
  ASSERT_EQ(losses[0].size(), losses[1].size());
  ASSERT_GT(losses[0].size(), 10u);
  for (size_t i = 0; i < losses[0].size(); ++i) EXPECT_NEAR(losses[1][i], losses[0][i], 2e-4) << i;
}

// The host queues a whole step, forward, backward and update, without waiting for the GPU once.
TEST_F(CudaTraining, AStepNeverWaitsForTheGpu) {
  const data::GroupStore store = make_store(random_records(12, 3, 50, 3));
  for (const bool train_base : {true, false}) {
    nn::Decoder decoder(tiny_config(), 3, torch::TensorOptions(torch::kCUDA).dtype(torch::kBFloat16));
    std::vector<PreferenceLane> lanes;
    for (int k = 0; k < (train_base ? 1 : 3); ++k) {
      PreferenceLane lane;
      lane.name = std::to_string(k);
      lane.head_PD = random_head(1, 16, 5 + k).to(torch::kCUDA);
      lane.train = human_examples(store, all_groups(store));
      if (!train_base)
        lane.lora = models::new_adapter(decoder, {.rank = 4, .alpha = 8, .dropout = 0.1}, 5 + k).lora;
      lanes.push_back(std::move(lane));
    }
    const auto num_lanes = static_cast<int64_t>(lanes.size());
    PreferenceObjective objective(store, decoder, train_base, std::move(lanes), {.token_budget = 100}, 1);
    StepRequest request;
    for (int64_t k = 0; k < num_lanes; ++k) request.examples.push_back({0, 1, 2, 3, 4, 5, 6, 7});
    std::vector<std::vector<ops::AdamWSlot>> slots(num_lanes);
    for (int64_t k = 0; k < num_lanes; ++k)
      for (const auto& [name, parameter] : objective.parameters(k)) {
        const Tensor wide = parameter.detach().to(torch::kFloat32);
        const bool narrow = parameter.scalar_type() != torch::kFloat32;
        slots[k].push_back({parameter, narrow ? wide : Tensor(), Tensor(), torch::zeros_like(wide),
                            torch::zeros_like(wide)});
      }
    const auto step = [&] {
      const StepResult result = objective.accumulate(request);
      for (int64_t k = 0; k < num_lanes; ++k) {
        std::vector<Tensor> gradients;
        const NamedParameters parameters = objective.parameters(k);
        for (size_t i = 0; i < parameters.size(); ++i) {
          slots[k][i].gradient = parameters[i].second.grad();
          gradients.push_back(parameters[i].second.grad());
        }
        ops::adamw_(slots[k], {.lr = 1e-3, .grad_scale = ops::clip_scale(ops::global_norm(gradients), 1)});
      }
      return result;
    };
    step();  // what is allocated once
    c10::cuda::warning_state().set_sync_debug_mode(c10::cuda::SyncDebugMode::L_ERROR);
    StepResult result;
    EXPECT_NO_THROW(result = step()) << (train_base ? "whole base" : "experts");
    c10::cuda::warning_state().set_sync_debug_mode(c10::cuda::SyncDebugMode::L_DISABLED);
    ASSERT_TRUE(result.measures);
    EXPECT_GT(result.measures()[0]["loss"].get<double>(), 0);
  }
}

// Phase 3 on the device of the heads, from states that are kept there or fetched row by row.
TEST_F(CudaTraining, TheAggregatorLearnsAsOnTheCpu) {
  torch::manual_seed(3);
  StateExamples examples;
  examples.z_RKD = torch::randn({240, 3, 16});
  for (int32_t i = 0; i < 240; i += 3)
    (i < 180 ? examples.train : examples.held_out).push_back({{i, i + 1}, {i + 1, i + 2, 2, 0.5}});
  const Tensor head_KD = torch::randn({3, 16});
  const LinearFit fit = fit_linear(examples, head_KD);
  const data::GroupStore store = make_store(random_records(2, 2, 50, 3));
  std::vector<std::vector<double>> losses;
  std::vector<Tensor> rewards;
  for (const torch::Device device : {torch::Device(torch::kCPU), torch::Device(torch::kCUDA)}) {
    RunDirectory run(directory_ / device.str(), false);
    run.begin({{"test", 1}});
    StageContext context{run, store, 1, 1e12};
    AggregatorStage stage;
    stage.train = {.epochs = 4, .batch = 16, .lr = 1e-2};
    const reward::Aggregator aggregator =
        train_aggregator(context, "phase3", examples, head_KD.to(device), fit, stage);
    EXPECT_EQ(aggregator.device().type(), device.type());
    rewards.push_back(aggregator.forward(examples.z_RKD.to(device)).cpu());
    losses.emplace_back();
    for (const Json& line : metrics(directory_ / device.str()))
      losses.back().push_back(line.contains("loss") ? line["loss"] : line["eval"]["loss"]);
  }
  ASSERT_EQ(losses[0].size(), losses[1].size());
  ASSERT_GT(losses[0].size(), 20u);
  for (size_t i = 0; i < losses[0].size(); ++i) EXPECT_NEAR(losses[1][i], losses[0][i], 1e-4) << i;
  EXPECT_LT((rewards[1] - rewards[0]).norm().item<double>(), 1e-3 * rewards[0].norm().item<double>());
}

TEST_F(CudaTraining, StatesAreKeptOnTheDeviceOrFetched) {
  const Tensor states_RKD = torch::randn({9, 2, 4}), row_N = torch::tensor({8, 0, 3});
  for (const int64_t budget : {int64_t{0}, int64_t{1} << 20}) {
    const DeviceRows rows(states_RKD, torch::kCUDA, budget);
    EXPECT_EQ(rows.states().is_cuda(), budget > 0);
    EXPECT_TRUE(rows.rows(row_N).is_cuda());
    EXPECT_TRUE(torch::equal(rows.rows(row_N).cpu(), states_RKD.index_select(0, row_N)));
  }
}

// What fits in no memory is computed in parts.
TEST_F(CudaTraining, ScoringGoesOnWithLessWhenMemoryEnds) {
  nn::DecoderConfig config = tiny_config();
  config.hidden_size = 512;
  config.num_heads = config.num_kv_heads = 8;
  config.head_dim = 64;
  config.intermediate_size = 65536;
  const nn::Decoder decoder(config, 3, torch::TensorOptions(torch::kCUDA).dtype(torch::kBFloat16));
  std::vector<std::vector<int32_t>> sequences(2048, std::vector<int32_t>(1024));
  for (size_t i = 0; i < sequences.size(); ++i) sequences[i].back() = static_cast<int32_t>(i % 50);
  std::vector<reward::PromptSequences> prompts;
  for (const auto& sequence : sequences) prompts.push_back({sequence});
  // Two million rows of 2 * 65,536 numbers do not fit 80 or 140 GB.
  const Tensor all = reward::packed_states(decoder, nullptr, prompts, {.token_budget = int64_t{1} << 22});
  const Tensor few = reward::packed_states(decoder, nullptr, std::span(prompts).first(50));
  EXPECT_LT((all.narrow(0, 0, 50) - few).abs().max().item<double>(), 5e-2 * few.abs().max().item<double>());
}

}  // namespace
}  // namespace dmoerm::train
