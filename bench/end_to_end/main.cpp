// bench_end_to_end: scoring and training, packed against the padded eager way of the same LibTorch with the
// same threads, or on a GPU against a Python program (peer.h). Prints a Markdown table.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "bench/end_to_end/contests.h"
#include "bench/end_to_end/peer.h"
#include "dmoerm/core/runtime.h"
#include "dmoerm/models/checkpoint.h"
#include "dmoerm/ops/cpu_kernels.h"

namespace dmoerm::bench {
namespace {

double load_average() {
  double load = 0;
  return getloadavg(&load, 1) == 1 ? load : 0;
}

using PeerRows = std::map<std::string, PeerRow>;

struct Kind {
  std::string name;
  Contest (*make)(const Setting&);
  std::vector<std::string> peer_rows = {};  // names of the peer's lines; the fastest counts
  bool gpu_alone = false;
};

void run(const Setting& setting, int64_t repeats, const std::string& only, const PeerRows& peer) {
  const double rate = measured_matmul_rate(setting.device);
  if (setting.device.is_cuda())
    fmt::print("LibTorch {}.{}, {:.0f} TFLOP/s of a bfloat16 product\n\n", kTorchMajor, kTorchMinor,
               rate / 1e12);
  else
    fmt::print(
        "LibTorch {}.{}, {} threads, {} kernels, {:.0f} GFLOP/s of a float32 product, load average "
        "{:.1f}\n\n",
        kTorchMajor, kTorchMinor, at::get_num_threads(), ops::cpu_kernels().name, rate / 1e9, load_average());
  fmt::print("{}", table_head(setting.device));
  std::fflush(stdout);
  const std::vector<Kind> workloads = {
      {"pairs", score_pairs, {"score unsorted bs16", "score unsorted bs64", "score length-sorted bs64"}},
      {"pairs",
       score_pairs_by_experts,
       {"score 5 LoRA experts, sequential set_adapter, bs64 sorted (expert-tokens)"}},
      {"best-of", score_best_of, {"bon n=64 p=512 r=128"}},
      {"experts", score_experts, {"bon n=64 with 5 LoRA experts (expert-tokens)"}},
      {"experts", score_experts_together},
      {"mixed", score_mixed},
      {"mixed", score_mixed_in_calls},
      {"train",
       train_whole,
       {"train full bf16 4 pairs", "train full bf16 8 pairs", "train full bf16 8 pairs sorted"}},
      {"train-experts",
       train_experts,
       {"train LoRA r32 q,v 4 pairs (one expert)", "train LoRA r32 q,v 8 pairs (one expert)"}},
      {"phase3", train_aggregator, {"score unsorted bs1"}},
      {"phase3", train_aggregator_on_states, {}, /*gpu_alone=*/true},
  };
  for (const auto& [kind, make, peer_rows, gpu_alone] : workloads) {
    if ((!only.empty() && only != kind) || (gpu_alone && setting.device.is_cpu())) continue;
    const Contest contest = make(setting);
    const Outcome outcome = run_contest(contest, repeats);
    fmt::print("{}", table_row(contest, outcome, rate));
    const double tokens_per_second = static_cast<double>(contest.tokens) / outcome.ours.seconds;
    if (setting.device.is_cuda()) fmt::print("{}\n", peer_cells(peer, peer_rows, tokens_per_second));
    if (setting.device.is_cuda() && contest.time_usual)
      fmt::print("\n{}: {:.3f} s; ours is {:.2f} times as fast\n\n", contest.against, outcome.usual.seconds,
                 outcome.usual.seconds / outcome.ours.seconds);
    std::fflush(stdout);
  }
  if (setting.device.is_cpu()) fmt::print("\nload average at the end {:.1f}\n", load_average());
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
  config.num_heads = config.num_kv_heads = 8;
  config.head_dim = 32;
  dmoerm::RuntimeOptions runtime;
  int64_t repeats = 5;
  std::string only, shape, peer;
  CLI::App app{
      "Scoring and training: packed against the padded eager way, or on a GPU against a Python program"};
  app.add_option("--model", shape, "A config.json, for random weights of its shape, or a model's directory")
      ->check(CLI::ExistingPath);
  app.add_option("--device", runtime.device, "cpu, cuda or cuda:N")->capture_default_str();
  app.add_option("--dtype", runtime.dtype, "auto, float32 or bfloat16")->capture_default_str();
  app.add_option("--lengths", setting.lengths,
                 "Of pairs, over prompts of median 220 and answers of median 160 tokens")
      ->capture_default_str();
  app.add_option("--pairs", setting.pairs, "Pairs to score")->capture_default_str();
  app.add_option("--prompt", setting.prompt_length, "Tokens of best-of-n's prompt")->capture_default_str();
  app.add_option("--answer", setting.answer_length, "Tokens of best-of-n's answers")->capture_default_str();
  app.add_option("--train-steps", setting.train_steps, "Steps of a training run")->capture_default_str();
  app.add_option("--phase3-pairs", setting.phase3_pairs, "Pairs of phase 3")->capture_default_str();
  app.add_option("--seed", setting.seed, "Of weights and lengths")->capture_default_str();
  app.add_option("--threads", runtime.threads, "0: all cores")->capture_default_str();
  app.add_option("--repeats", repeats, "Runs whose median counts")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--peer", peer, "Python program whose measurements are shown beside ours")
      ->check(CLI::ExistingFile);
  app.add_option("--only", only, "One kind of workload")
      ->check(CLI::IsMember({"pairs", "best-of", "experts", "mixed", "train", "train-experts", "phase3"}));
  app.footer("Example:\n  bench_end_to_end --only best-of --threads 1");
  CLI11_PARSE(app, argc, argv);
  try {
    dmoerm::bench::PeerRows rows;
    if (!peer.empty()) rows = dmoerm::bench::run_peer(peer);
    if (!shape.empty()) config = dmoerm::models::read_decoder_config(shape);
    if (std::filesystem::exists(shape + "/model.safetensors") ||
        std::filesystem::exists(shape + "/model.safetensors.index.json"))
      setting.model = shape;
    config.validate("options");
    setting.device = dmoerm::init_runtime(runtime);
    setting.dtype = dmoerm::compute_dtype(runtime, setting.device);
    dmoerm::bench::run(setting, repeats, only, rows);
  } catch (const std::exception& error) {
    std::cerr << "bench_end_to_end: " << error.what() << "\n";
    return 1;
  }
}
