// Phase 3 alone, over a trained model whose bases do not fit the device together.
#include <gmock/gmock.h>

#include <cmath>

#include "dmoerm/reward/double_layer_model.h"
#include "dmoerm/train/double_layer_run.h"
#include "tests/core/temporary_directory.h"
#include "tests/study/two_task_fixture.h"

namespace dmoerm::train {
namespace {

class TrainAggregatorsTest : public TwoTaskTest {
 protected:
  RunConfig config(const std::string& name) const {
    write_file_atomically(directory_ / "tasks.toml",
                          "[[task]]\nname = \"a\"\npoints = [\"first\"]\n"
                          "[[task]]\nname = \"b\"\npoints = [\"second\"]\n");
    write_file_atomically(directory_ / (name + ".toml"), fmt::format(R"(
base = "{0}/base"
out = "{0}/{1}"
chat_format = "chatml"
max_tokens = 64
labels = ["{0}/labels.jsonl"]
tasks = "{0}/tasks.toml"
data = [{{files = ["{0}/data.jsonl"]}}]
router = {{max_steps = 2}}
phase1 = {{max_steps = 2}}
phase2 = {{max_steps = 2}}
phase3 = {{max_steps = 2}}
)",
                                                                     directory_.string(), name));
    return load_run_config(directory_ / (name + ".toml"));
  }
};

TEST_F(TrainAggregatorsTest, MovesEachTasksBaseToTheDeviceForIt) {
  const RunOptions options{.device = torch::cuda::is_available() ? torch::kCUDA : torch::kCPU};
  const RunConfig first = config("first"), again = config("again");
  const reward::DoubleLayerModel trained = train_double_layer(first, options);
  int64_t base_bytes = 0;
  for (const auto& [name, weight] : trained.tasks[0].decoder().weights())
    base_bytes += static_cast<int64_t>(weight.nbytes());

  models::LoadOptions one_base{options.device};
  one_base.base_memory = base_bytes;
  reward::DoubleLayerModel model = reward::DoubleLayerModel::load(first.out / "model", one_base);
  ASSERT_NE(model.residency, nullptr);
  model.residency->use(model.tasks[1].decoder());
  const int64_t before = model.residency->num_moves();
  train_aggregators(model, again, options);
  EXPECT_EQ(model.residency->num_moves() - before, 2);
  // The same scores are fitted; projections that are joined may be summed in another order.
  const Json expected = load_json(first.out / "linear.json"), actual = load_json(again.out / "linear.json");
  for (const char* task : {"a", "b"})
    for (const char* key : {"sum", "deviation"}) {
      const auto value = expected.at(task).at(key).at(0).get<double>();
      EXPECT_NEAR(actual.at(task).at(key).at(0).get<double>(), value, 1e-3 * std::abs(value)) << task << key;
    }
  // Wherever its bases are, the model is saved whole.
  model.save(directory_ / "saved");
  const auto saved = reward::DoubleLayerModel::load(directory_ / "saved", {options.device});
  for (size_t task = 0; task < 2; ++task)
    for (const auto& [name, weight] : trained.tasks[task].decoder().weights())
      EXPECT_TRUE(saved.tasks[task].decoder().weights().at(name).equal(weight)) << name;
}

// What is missing is said before hours of training, and the run can begin once it is there.
TEST_F(TrainAggregatorsTest, APointWithoutLabelsIsSaidBeforeAnythingIsTrained) {
  const RunConfig run = config("run");
  const std::string labels = read_file(directory_ / "labels.jsonl");
  std::string first_alone;
  for (size_t begin = 0, end; begin < labels.size(); begin = end + 1) {
    end = labels.find('\n', begin);
    const std::string line = labels.substr(begin, end - begin + 1);
    if (line.find("\"second\"") == std::string::npos) first_alone += line;
  }
  write_file_atomically(directory_ / "labels.jsonl", first_alone);
  EXPECT_THAT(error_of([&] { train_double_layer(run, {}); }),
              testing::HasSubstr("task b: no kept label of second on the records of phase 1"));
  EXPECT_FALSE(fs::exists(run.out / "metrics.jsonl"));
  write_file_atomically(directory_ / "labels.jsonl", labels);
  EXPECT_EQ(train_double_layer(run, {}).tasks.size(), 2u);
}

}  // namespace
}  // namespace dmoerm::train
