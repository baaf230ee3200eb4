// dmoerm bon: what best-of-n with a reward model is worth, over the answers of a file.
#include <cmath>
#include <iostream>

#include "apps/dmoerm/commands.h"
#include "apps/dmoerm/scorer_flags.h"
#include "dmoerm/core/file.h"
#include "dmoerm/core/json.h"
#include "dmoerm/study/answer_pools.h"
#include "dmoerm/study/report.h"
#include "dmoerm/study/study_results.h"

namespace dmoerm::app {
namespace {

struct BonFlags {
  ScorerFlags model;
  std::vector<std::filesystem::path> data;
  std::filesystem::path report;
  uint64_t seed = 0;
  bool json = false;
};

std::string with_band(double value, const metrics::Interval& band) {
  return std::isfinite(value) ? fmt::format("{:.4f} [{:.4f}, {:.4f}]", value, band.low, band.high) : "-";
}

study::Table curve_table(const std::vector<metrics::BestOfNPoint>& curve) {
  study::Table table{{"n", "KL (nats)", "reward", "gold"}, {}};
  for (const metrics::BestOfNPoint& point : curve)
    table.rows.push_back({std::to_string(point.n), fmt::format("{:.3f}", point.kl),
                          with_band(point.proxy, point.proxy_band), with_band(point.gold, point.gold_band)});
  return table;
}

study::Chart curve_chart(const std::vector<metrics::BestOfNPoint>& curve, const std::string& title,
                         bool gold) {
  study::Chart chart{title, "square root of the KL divergence (nats)", gold ? "gold reward" : "reward"};
  study::Series series{title, {}, {}};
  for (const metrics::BestOfNPoint& point : curve) {
    const metrics::Interval& band = gold ? point.gold_band : point.proxy_band;
    series.points.emplace_back(std::sqrt(point.kl), gold ? point.gold : point.proxy);
    series.bands.emplace_back(band.low, band.high);
  }
  chart.series = {series};
  return chart;
}

void write_report(const BonFlags& flags, const std::vector<metrics::BestOfNPoint>& curve,
                  const std::string& what) {
  study::Section section{"Best-of-n",
                         what,
                         {curve_table(curve)},
                         {curve_chart(curve, "Gold reward", true), curve_chart(curve, "Reward", false)}};
  study::write_report(flags.report,
                      {"Best-of-n with " + flags.model.model.filename().string(), "", {section}});
}

}  // namespace

void add_bon_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "bon", "Best-of-n: the reward, and the gold reward, of the answer that a model prefers among n");
  auto flags = std::make_shared<BonFlags>();
  flags->model.add_to(*command);
  command
      ->add_option("--data", flags->data,
                   "Records with many answers to a prompt; \"gold\" or ranks where known")
      ->required();
  command->add_option("--seed", flags->seed, "Of the bootstrap")->capture_default_str();
  command->add_flag("--json", flags->json, "Print JSON");
  command->add_option("--report", flags->report, "HTML file to write");
  command->footer("Example:\n  dmoerm bon --model out/model --data answers.jsonl.gz");
  command->callback([flags] {
    auto scorer = flags->model.load();
    const auto pools = study::score_pools(*scorer, flags->data, flags->model.reader);
    warn_of_changes(*scorer);
    const auto curve = metrics::best_of_n_curve(pools, flags->seed);
    const std::string what = fmt::format(
        "{} prompts, {} answers in the smallest pool. Unbiased estimates; [95% by bootstrap over prompts]. "
        "Gold: of the "
        "records, else how often the answer is one of the best rank.\n",
        pools.size(), curve.back().n);
    if (flags->json) {
      std::cout << dump_json(study::curve_json(curve), 2) << "\n";
    } else {
      std::cout << to_text(curve_table(curve)) << what;
    }
    if (!flags->report.empty()) write_report(*flags, curve, what);
  });
}

}  // namespace dmoerm::app
