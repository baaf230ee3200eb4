#include "dmoerm/study/chart.h"

#include <algorithm>
#include <cmath>

#include "dmoerm/core/error.h"
#include "dmoerm/study/gnuplot.h"
#include "dmoerm/text/utf8.h"

namespace dmoerm::study {
namespace {

// Colours that people with any colour vision tell apart (Okabe & Ito 2008, without the yellow); then by point
// shape.
constexpr const char* kSettings = R"(
set encoding utf8
set linetype 1 linecolor rgb '#0072b2' pointtype 7
set linetype 2 linecolor rgb '#d55e00' pointtype 5
set linetype 3 linecolor rgb '#009e73' pointtype 9
set linetype 4 linecolor rgb '#cc79a7' pointtype 11
set linetype 5 linecolor rgb '#e69f00' pointtype 13
set linetype 6 linecolor rgb '#56b4e9' pointtype 6
set linetype 7 linecolor rgb '#555555' pointtype 4
set linetype cycle 7
set border 3 linewidth 0.7
set tics nomirror
set grid ytics
set key outside right top Left reverse
set pointsize 0.5
)";

bool is_finite(const std::pair<double, double>& point) {
  return std::isfinite(point.first) && std::isfinite(point.second);
}

bool has_points(const Series& series) {
  return std::any_of(series.points.begin(), series.points.end(), is_finite);
}

// A gnuplot string on one line. Nothing is special in single quotes, and an apostrophe is joined from double
// ones.
std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text::repair_utf8(text)) {
    if (c == '\'') {
      result += "'.\"'\".'";
    } else {
      result += c == '\n' || c == '\r' || c == '\0' ? ' ' : c;
    }
  }
  return result + "'";
}

void rename(std::string& svg, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = svg.find(from, at)) != std::string::npos; at += to.size())
    svg.replace(at, from.size(), to);
}

}  // namespace

std::string draw_svg(const Chart& chart, const std::string& id) {
  std::string script =
      fmt::format("set terminal svg noenhanced size 760,360 font 'sans-serif,13' name {}\n", quoted(id));
  script += kSettings;
  script += fmt::format("set title {}\nset xlabel {}\nset ylabel {}\n", quoted(chart.title),
                        quoted(chart.x_label), quoted(chart.y_label));
  std::vector<std::string> plots;
  for (const Series& series : chart.series) {
    if (!has_points(series)) continue;
    script += fmt::format("$data{} << END\n", plots.size());
    for (const auto& point : series.points)
      script += is_finite(point) ? fmt::format("{:.9g} {:.9g}\n", point.first, point.second) : "\n";
    script += "END\n";
    plots.push_back(fmt::format("$data{} with linespoints title {}", plots.size(), quoted(series.name)));
  }
  if (plots.empty()) return "";
  script += fmt::format("plot {}\n", fmt::join(plots, ", "));

  std::string svg = run_gnuplot(script);
  const size_t begin = svg.find("<svg");
  if (begin == std::string::npos) fail("chart", "gnuplot drew no SVG for \"{}\"", chart.title);
  svg.erase(0, begin);
  for (const char* name : {"gnuplot_canvas", "gpDot", "gpPt", "textbox", "greybox"})
    rename(svg, name, id + "_" + name);
  return svg;
}

}  // namespace dmoerm::study
