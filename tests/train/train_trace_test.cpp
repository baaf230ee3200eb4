// The reference's own training: 8 steps of AdamW on all parameters of llama-seq
// (tests/fixtures/train_trace.safetensors).
#include "tests/train/train_fixture.h"

#include "dmoerm/core/safetensors.h"

namespace dmoerm::train {
namespace {

std::vector<int32_t> ids(const SafeTensors& file, const std::string& name) {
  const Tensor values = file.tensor(name).to(torch::kInt32).contiguous();
  return {values.data_ptr<int32_t>(), values.data_ptr<int32_t>() + values.numel()};
}

using TrainTrace = TrainTest;

TEST_F(TrainTrace, LossesAndGradientNormsAreTheReferences) {
  const SafeTensors trace(kFixtures / "train_trace.safetensors");
  std::vector<data::PreferenceRecord> records;
  for (int i = 0; i < 4; ++i) {
    data::PreferenceRecord record;
    record.id = std::to_string(i);
    record.is_ids = true;
    record.prompt_ids = ids(trace, fmt::format("prompt.{}", i));
    record.response_ids = {ids(trace, fmt::format("chosen.{}", i)),
                           ids(trace, fmt::format("rejected.{}", i))};
    record.ranks = {1, 2};
    records.push_back(std::move(record));
  }
  const data::GroupStore store = make_store(records);
  models::Checkpoint base = models::load_checkpoint(kFixtures / "llama-seq");
  RunDirectory run(directory_ / "run", false);
  run.begin({{"test", 1}});
  StageContext context{run, store, 1, 1e12};
  PreferenceStage stage;
  stage.train = {.epochs = 8, .batch = 4, .lr = 1e-3, .weight_decay = 0.01, .clip = 1.0, .keep_best = false};
  stage.train.schedule = {"constant", 0, 1};
  PreferenceLane lane;
  lane.name = "model";
  lane.head_PD = new_head(base, 1, 1);
  lane.train = human_examples(store, all_groups(store));
  train_whole(context, "trace", base, std::move(lane), stage);

  const Tensor losses = trace.tensor("losses"), norms = trace.tensor("grad_norms");
  int step = 0;
  for (const Json& line : metrics(directory_ / "run")) {
    if (!line.contains("loss")) continue;
    EXPECT_NEAR(line["loss"].get<double>() / losses[step].item<double>(), 1, 1e-4) << "step " << step;
    EXPECT_NEAR(line["grad_norm"].get<double>() / norms[step].item<double>(), 1, 1e-4) << "step " << step;
    ++step;
  }
  EXPECT_EQ(step, 8);
  const Tensor expected = trace.tensor("score.weight");
  EXPECT_LT((base.score_weight - expected).abs().max().item<double>(),
            1e-4 * expected.abs().max().item<double>());
}

}  // namespace
}  // namespace dmoerm::train
