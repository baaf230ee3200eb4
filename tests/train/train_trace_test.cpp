// The reference's own training: 8 steps of AdamW on all parameters of llama-seq
// (tests/fixtures/train_trace.safetensors).
#include "tests/train/train_fixture.h"

#include "dmoerm/core/safetensors.h"

namespace dmoerm::train {
namespace {

using TrainTrace = TrainTest;

TEST_F(TrainTrace, LossesAndGradientNormsAreTheReferences) {
  const SafeTensors trace(kFixtures / "train_trace.safetensors");
  const data::GroupStore store = make_store(trace_records(trace));
  models::Checkpoint base = models::load_checkpoint(kFixtures / "llama-seq");
  const std::vector<Json> lines = train_trace(store, base, 8192, "run");

  const Tensor losses = trace.tensor("losses"), norms = trace.tensor("grad_norms");
  int step = 0;
  for (const Json& line : lines) {
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
