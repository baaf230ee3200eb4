// Accuracy over training steps of a double-layer run, on training and held-out data (figure 4 of the DMoERM
// paper).
#include <map>

#include "dmoerm/core/file.h"
#include "dmoerm/study/study_report.h"

namespace dmoerm::study {
namespace {

// Accuracies of one lane of one stage. Single training batches are small: their accuracy is smoothed.
struct Curve {
  std::vector<std::pair<double, double>> train, held_out;  // (step, accuracy)
  double smooth = -1;

  void add_batch(double step, double accuracy) {
    constexpr double kShare = 0.1;  // of the newest batch
    smooth = smooth < 0 ? accuracy : smooth + kShare * (accuracy - smooth);
    train.emplace_back(step, smooth);
  }
};

// By stage ("phase2/chat") and lane.
using Curves = std::map<std::pair<std::string, std::string>, Curve>;

Curves read_curves(const fs::path& file) {
  Curves curves;
  LineReader reader(file);
  for (std::string line; reader.next(line);) {
    const Json json = parse_json(line, fmt::format("{}:{}", file.string(), reader.line_number()));
    Curve& curve = curves[{json.at("stage"), json.at("lane")}];
    const double step = json.at("step").get<double>();
    if (json.contains("eval")) {
      curve.held_out.emplace_back(step, 100 * json.at("eval").at("accuracy").get<double>());
    } else if (json.contains("accuracy")) {
      curve.add_batch(step, 100 * json.at("accuracy").get<double>());
    }
  }
  return curves;
}

Chart new_chart(const std::string& title) {
  return {title, "step", "accuracy %"};
}

}  // namespace

Section training_section(const std::filesystem::path& run) {
  Section section{
      "Training",
      "Accuracy over steps on the training batches (smoothed) and on held-out prompts. Held-out human ranks "
      "are noisy: the accuracy on them stays below what the tables show on clean ones.",
      {},
      {}};
  if (!fs::exists(run / "metrics.jsonl")) return section;
  std::map<std::string, Chart> charts;  // by stage, phase 2 one for each task
  for (const auto& [name, curve] : read_curves(run / "metrics.jsonl")) {
    const auto& [stage, lane] = name;
    const bool is_phase2 = stage.starts_with("phase2/");
    const size_t slash = stage.find('/');
    const std::string phase = stage.substr(0, slash);
    const std::string title = phase == "router"       ? "Router"
                              : phase == "warm_start" ? "Warm start: one model of all tasks"
                              : phase == "phase1"     ? "Phase 1: task-specific training"
                              : is_phase2 ? "Phase 2, " + stage.substr(slash + 1) + ": capability experts"
                                          : "Phase 3: aggregators";
    Chart& chart = charts.try_emplace(is_phase2 ? stage : phase, new_chart(title)).first->second;
    const std::string series = is_phase2 || slash == std::string::npos ? lane : stage.substr(slash + 1);
    if (!curve.held_out.empty()) chart.series.push_back({series + ", held out", curve.held_out, {}});
    if (!is_phase2 && !curve.train.empty())
      chart.series.push_back({series + ", training", curve.train, {}, !curve.held_out.empty()});
  }
  for (const char* phase : {"warm_start", "router", "phase1", "phase2/", "phase3"})
    for (const auto& [name, chart] : charts)
      if (name.starts_with(phase)) section.charts.push_back(chart);
  return section;
}

}  // namespace dmoerm::study
