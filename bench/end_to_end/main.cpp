// bench_end_to_end: scoring and training on the CPU, packed against the padded eager way of the same LibTorch
// with the same threads. Prints a Markdown table.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>

#include "bench/end_to_end/contests.h"
#include "dmoerm/core/runtime.h"
#include "dmoerm/ops/cpu_kernels.h"

namespace dmoerm::bench {
namespace {

double load_average() {
  double load = 0;
  return getloadavg(&load, 1) == 1 ? load : 0;
}

void run(const Setting& setting, const RuntimeOptions& runtime, int64_t repeats, const std::string& only) {
  const torch::Device device = init_runtime(runtime);
  const double rate = measured_matmul_rate(device);
  fmt::print(
      "LibTorch {}.{}, {} threads, {} kernels, {:.0f} GFLOP/s of a float32 product, load average {:.1f}\n\n",
      kTorchMajor, kTorchMinor, at::get_num_threads(), ops::cpu_kernels().name, rate / 1e9, load_average());
  fmt::print("{}", table_head());
  std::fflush(stdout);
  const std::pair<std::string, Contest (*)(const Setting&)> contests[] = {
      {"pairs", score_pairs},       {"best-of", score_best_of},
      {"experts", score_experts},   {"experts", score_experts_together},
      {"train", train_whole},       {"train", train_lora},
      {"phase3", train_aggregator},
  };
  for (const auto& [name, make] : contests) {
    if (!only.empty() && only != name) continue;
    const Contest contest = make(setting);
    fmt::print("{}", table_row(contest, run_contest(contest, repeats), rate));
    std::fflush(stdout);
  }
  fmt::print("\nload average at the end {:.1f}\n", load_average());
}

}  // namespace
}  // namespace dmoerm::bench

int main(int argc, char** argv) {
  dmoerm::bench::Setting setting;
  dmoerm::nn::DecoderConfig& config = setting.config;
  config.vocab_size = 8192;
  config.hidden_size = 256;
  config.intermediate_size = 688;
  config.num_layers = 6;
  config.num_heads = 8;
  dmoerm::RuntimeOptions runtime;
  int64_t repeats = 5;
  std::string only;
  CLI::App app{"Scoring and training, packed against the padded eager way"};
  app.add_option("--hidden", config.hidden_size, "Width")->capture_default_str();
  app.add_option("--layers", config.num_layers, "Layers")->capture_default_str();
  app.add_option("--heads", config.num_heads, "Attention heads, each with its keys and values")
      ->capture_default_str();
  app.add_option("--intermediate", config.intermediate_size, "Width of the feed-forward part")
      ->capture_default_str();
  app.add_option("--vocab", config.vocab_size, "Vocabulary")->capture_default_str();
  app.add_option("--seed", setting.seed, "Of weights and lengths")->capture_default_str();
  app.add_option("--threads", runtime.threads, "0: all cores")->capture_default_str();
  app.add_option("--repeats", repeats, "Runs whose median counts")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--only", only, "One kind of workload")
      ->check(CLI::IsMember({"pairs", "best-of", "experts", "train", "phase3"}));
  app.footer("Example:\n  bench_end_to_end --only best-of --threads 1");
  CLI11_PARSE(app, argc, argv);
  config.num_kv_heads = config.num_heads;
  try {
    config.head_dim = config.num_heads > 0 ? config.hidden_size / config.num_heads : 0;
    config.validate("options");
    dmoerm::bench::run(setting, runtime, repeats, only);
  } catch (const std::exception& error) {
    std::cerr << "bench_end_to_end: " << error.what() << "\n";
    return 1;
  }
}
