// The demo's table and report.
#include <algorithm>
#include <map>

#include "dmoerm/core/json.h"
#include "dmoerm/study/demo.h"
#include "dmoerm/study/report.h"

namespace dmoerm::study {
namespace {

Table accuracy_table(const std::vector<DemoSeed>& seeds) {
  Table table;
  table.columns = {"method"};
  for (const data::TaskPoints& task : data::paper_tasks()) table.columns.push_back(task.name);
  table.columns.push_back("all");
  for (size_t m = 0; m < seeds.front().methods.size(); ++m) {
    std::vector<Cell> row = {seeds.front().methods[m].method};
    for (size_t task = 0; task < data::paper_tasks().size(); ++task) {
      std::vector<double> shares;
      for (const DemoSeed& seed : seeds) shares.push_back(seed.methods[m].tasks.at(task));
      row.push_back(percent_cell(shares));
    }
    std::vector<double> shares;
    for (const DemoSeed& seed : seeds) shares.push_back(seed.methods[m].overall);
    row.push_back(percent_cell(shares));
    table.rows.push_back(row);
  }
  return table;
}

std::string facts(const std::vector<DemoSeed>& seeds) {
  double agreement = 0, kept = 0, seconds = 0;
  for (const DemoSeed& seed : seeds) {
    agreement += 100 * seed.human_agreement / static_cast<double>(seeds.size());
    kept += 100 * seed.kept_labels / static_cast<double>(seeds.size());
    seconds += seed.seconds;
  }
  return fmt::format(
      "Accuracy (%) on noise-free held-out pairs, {} seed{}. The human labels agree with gold on {:.1f}% of "
      "the training "
      "pairs; {:.1f}% of the judge's capability labels survived the exchanged order. DMoERM, the linear "
      "combination and "
      "the multi-objective model use those labels beside the human ones. {:.0f} s in all.\n",
      seeds.size(), seeds.size() == 1 ? "" : "s", agreement, kept, seconds);
}

// Held-out accuracy (or minus the loss, for the base) over steps, one series a lane of the stages that begin
// so.
Chart curve(const std::filesystem::path& run, const std::string& stage, const std::string& measure,
            const std::string& title) {
  std::map<std::string, Series> series;
  LineReader reader(run / "metrics.jsonl");
  std::string line;
  while (reader.next(line)) {
    const Json json = parse_json(line, "metrics.jsonl");
    const std::string name = json.at("stage");
    if (name.rfind(stage, 0) != 0 || !json.contains("eval")) continue;
    const std::string lane =
        name.size() > stage.size() + 1 ? name.substr(stage.size() + 1) : std::string(json.at("lane"));
    const std::string key = stage == "phase2" ? lane + ": " + std::string(json.at("lane")) : lane;
    series[key].points.emplace_back(json.at("step").get<double>(), json.at("eval").at(measure).get<double>());
  }
  Chart chart{title, "step", "held-out " + measure, {}};
  for (auto& [name, one] : series) {
    one.name = name;
    chart.series.push_back(std::move(one));
  }
  return chart;
}

// One chart a task: 27 curves in one would tell nothing.
std::vector<Chart> phase2_charts(const std::filesystem::path& run) {
  std::vector<Chart> charts;
  for (const data::TaskPoints& task : data::paper_tasks()) {
    Chart chart = curve(run, "phase2", "accuracy", "Phase 2, " + task.name + ": capability experts");
    std::erase_if(chart.series, [&](const Series& one) { return one.name.rfind(task.name + ": ", 0) != 0; });
    for (Series& one : chart.series) one.name.erase(0, task.name.size() + 2);
    charts.push_back(std::move(chart));
  }
  return charts;
}

}  // namespace

std::string demo_table(const std::vector<DemoSeed>& seeds) {
  return facts(seeds) + "\n" + to_text(accuracy_table(seeds));
}

void write_demo_report(const std::filesystem::path& path, const DemoOptions& options,
                       const std::vector<DemoSeed>& seeds) {
  const auto first = options.out / fmt::format("seed{}", seeds.front().seed);
  const auto run = first / "dmoerm";
  Report report;
  report.title = "DMoERM on the synthetic world";
  report.intro =
      "Five tasks, each with its capability points. Tasks weigh the same words with opposite signs; human "
      "ranks "
      "are noisy; a noisy, position-biased judge labels the capabilities. Everything was trained from a "
      "random "
      "base on this machine.";
  report.sections.push_back({"Accuracy by task and method", facts(seeds), {accuracy_table(seeds)}, {}});
  Section curves{
      "Training, seed " + std::to_string(seeds.front().seed),
      "Held-out accuracy over steps. Human ranks are noisy, so the accuracy on them stays well below the "
      "noise-free one above.",
      {},
      {}};
  curves.charts.push_back(curve(first / "base", "pretrain", "loss", "Base: next-token loss"));
  curves.charts.push_back(curve(run, "router", "accuracy", "Router"));
  curves.charts.push_back(curve(run, "phase1", "accuracy", "Phase 1: task-specific training"));
  for (Chart& chart : phase2_charts(run)) curves.charts.push_back(std::move(chart));
  curves.charts.push_back(curve(run, "phase3", "accuracy", "Phase 3: aggregator"));
  report.sections.push_back(std::move(curves));
  write_report(path, report);
}

}  // namespace dmoerm::study
