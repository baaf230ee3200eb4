// `dmoerm demo`: the whole main job on the synthetic world, beside the baselines that it has to beat.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "dmoerm/data/world_files.h"
#include "dmoerm/train/double_layer_run.h"

namespace dmoerm::study {

struct DemoOptions {
  std::filesystem::path out = "out/demo";
  int64_t seeds = 1;
  uint64_t first_seed = 1;
  torch::Device device = torch::kCPU;
  data::WorldSizes sizes;
};

// Accuracy of one method on noise-free held-out pairs, for one seed.
struct MethodAccuracy {
  std::string method;
  double overall = 0;
  std::vector<double> tasks;  // in the order of data::paper_tasks()
};

struct DemoSeed {
  uint64_t seed = 0;
  double human_agreement = 0;  // of the human ranks with gold, over pairs
  double kept_labels = 0;      // share of the judge's labels that the exchanged order confirmed
  std::vector<MethodAccuracy> methods;
  double seconds = 0;  // all of it; what was reused from an interrupted demo is not counted
};

// Runs every seed in its own folder under `out`; a demo that was interrupted goes on. Writes results.json.
std::vector<DemoSeed> run_demo(const DemoOptions& options);

// The table, and the report with the accuracy curves of the phases.
std::string demo_table(const std::vector<DemoSeed>& seeds);
void write_demo_report(const std::filesystem::path& path, const DemoOptions& options,
                       const std::vector<DemoSeed>& seeds);

}  // namespace dmoerm::study
