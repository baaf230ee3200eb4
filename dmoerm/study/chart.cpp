#include "dmoerm/study/chart.h"

#include "dmoerm/core/error.h"
#include "dmoerm/study/chart_script.h"
#include "dmoerm/study/gnuplot.h"

namespace dmoerm::study {
namespace {

constexpr int kWidth = 760, kHeight = 360, kBarsOfWidth = 40, kBarWidth = 14, kRowHeight = 28,
              kLegendHeight = 20;

void rename(std::string& svg, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = svg.find(from, at)) != std::string::npos; at += to.size())
    svg.replace(at, from.size(), to);
}

// Wide enough for every bar, high enough for every row and for the legend, of two names a line.
std::pair<int, int> picture_size(const Chart& chart) {
  const auto bars = static_cast<int>(chart.categories.size() * chart.series.size());
  const auto rows = static_cast<int>(chart.rows.size());
  return {chart.kind == Chart::Kind::Bars ? kWidth + std::max(0, bars - kBarsOfWidth) * kBarWidth : kWidth,
          rows > 0 ? std::max(200, 120 + rows * kRowHeight)
                   : kHeight + kLegendHeight * static_cast<int>((chart.series.size() + 1) / 2)};
}

}  // namespace

std::optional<std::string> draw_svg(const Chart& chart, const std::string& id) {
  const std::string plot = chart_script(chart);
  if (plot.empty()) return "";
  const auto [width, height] = picture_size(chart);
  std::optional<std::string> drawn =
      run_gnuplot(fmt::format("set terminal svg noenhanced size {},{} font 'sans-serif,13' name {}\n", width,
                              height, gnuplot_quoted(id)) +
                  plot);
  if (!drawn) return {};
  std::string& svg = *drawn;
  const size_t begin = svg.find("<svg");
  if (begin == std::string::npos) fail("chart", "gnuplot drew no SVG for \"{}\"", chart.title);
  svg.erase(0, begin);
  for (const char* name : {"gnuplot_canvas", "gpDot", "gpPt", "textbox", "greybox"})
    rename(svg, name, id + "_" + name);
  return drawn;
}

}  // namespace dmoerm::study
