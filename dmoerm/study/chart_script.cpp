#include "dmoerm/study/chart_script.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "dmoerm/text/utf8.h"

namespace dmoerm::study {
namespace {

using Kind = Chart::Kind;

constexpr size_t kLettersAcross = 80;  // that fit below a chart in one line

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
set key tmargin left horizontal Left reverse maxcols 2
set pointsize 0.5
set style fill transparent solid 0.15 noborder
)";

bool is_finite(const std::pair<double, double>& pair) {
  return std::isfinite(pair.first) && std::isfinite(pair.second);
}

// "x y low high" a line; a gap where a number is not finite.
std::string data_block(const Series& series, size_t number) {
  std::string text = fmt::format("$data{} << END\n", number);
  for (size_t i = 0; i < series.points.size(); ++i) {
    const auto& point = series.points[i];
    const auto band = i < series.bands.size() && is_finite(series.bands[i])
                          ? series.bands[i]
                          : std::pair(point.second, point.second);
    text += is_finite(point) ? fmt::format("{:.9g} {:.9g} {:.9g} {:.9g}\n", point.first, point.second,
                                           band.first, band.second)
                             : "\n";
  }
  return text + "END\n";
}

std::vector<const Series*> drawable(const Chart& chart) {
  std::vector<const Series*> result;
  for (const Series& series : chart.series)
    if (std::ranges::any_of(series.points, is_finite)) result.push_back(&series);
  return result;
}

std::string tics(const std::string& axis, const std::vector<std::string>& names, const std::string& how) {
  std::vector<std::string> places;
  for (size_t i = 0; i < names.size(); ++i)
    places.push_back(fmt::format("{} {}", gnuplot_quoted(names[i]), i));
  return fmt::format("set {}tics scale 0 {} ({})\n", axis, how, fmt::join(places, ", "));
}

// Names of columns are turned where they would run into each other.
std::string column_tics(const std::vector<std::string>& names) {
  size_t letters = 0;
  for (const std::string& name : names) letters = std::max(letters, name.size());
  return tics("x", names, letters * names.size() > kLettersAcross ? "rotate by -30" : "");
}

std::string lines_script(const Chart& chart, const std::vector<const Series*>& shown) {
  std::string script;
  std::vector<std::string> plots;
  if (chart.diagonal) plots.push_back("x with lines linecolor rgb '#999999' dashtype 2 notitle");
  size_t linetype = 0;
  for (size_t i = 0; i < shown.size(); ++i) {
    script += data_block(*shown[i], i);
    const std::string title = gnuplot_quoted(shown[i]->name);
    if (!shown[i]->beside || linetype == 0) ++linetype;
    if (!shown[i]->bands.empty())
      plots.push_back(fmt::format("$data{} using 1:3:4 with filledcurves linetype {} notitle", i, linetype));
    const char* style = chart.kind == Kind::Points  ? "with points"
                        : chart.kind == Kind::Steps ? "with steps linewidth 1.5"
                        : shown[i]->beside          ? "with lines dashtype 2"
                                                    : "with linespoints";
    plots.push_back(fmt::format("$data{} using 1:2 {} linetype {} title {}", i, style, linetype, title));
  }
  return script + fmt::format("plot {}\n", fmt::join(plots, ", "));
}

// Groups of bars side by side, one group a category.
std::string bars_script(const Chart& chart, const std::vector<const Series*>& shown) {
  const double width = 0.8 / static_cast<double>(shown.size());
  std::string script = column_tics(chart.categories);
  script += fmt::format("set xrange [-0.6:{}]\nset boxwidth {}\nset style fill solid 0.8 noborder\n",
                        static_cast<double>(chart.categories.size()) - 0.4, 0.95 * width);
  std::vector<std::string> plots;
  for (size_t i = 0; i < shown.size(); ++i) {
    script += data_block(*shown[i], i);
    const double shift = (static_cast<double>(i) - (static_cast<double>(shown.size()) - 1) / 2) * width;
    const std::string place = fmt::format("$data{} using ($1+{}):2", i, shift);
    plots.push_back(
        fmt::format("{} with boxes linetype {} title {}", place, i + 1, gnuplot_quoted(shown[i]->name)));
    if (!shown[i]->bands.empty())
      plots.push_back(
          fmt::format("{}:3:4 with yerrorbars linecolor rgb '#333333' pointtype 0 notitle", place));
  }
  return script + fmt::format("plot {}\n", fmt::join(plots, ", "));
}

std::string rows_script(const Chart& chart, const std::vector<const Series*>& shown) {
  std::string script = tics("y", chart.rows, "");
  script += fmt::format("set yrange [{}:-0.5]\nset grid xtics\nset key off\n",
                        static_cast<double>(chart.rows.size()) - 0.5);
  std::vector<std::string> plots;
  for (size_t i = 0; i < shown.size(); ++i) {
    script += data_block(*shown[i], i);
    plots.push_back(fmt::format("$data{} using 1:2:3:4 with xerrorbars linetype {} pointsize 0.8", i, i + 1));
  }
  return script + fmt::format("plot {}\n", fmt::join(plots, ", "));
}

std::string matrix_script(const Chart& chart) {
  std::string data = "$cells << END\n";
  double low = INFINITY, high = -INFINITY;
  for (size_t row = 0; row < chart.cells.size(); ++row)
    for (size_t column = 0; column < chart.cells[row].size(); ++column) {
      const double value = chart.cells[row][column];
      if (!std::isfinite(value)) continue;
      low = std::min(low, value);
      high = std::max(high, value);
      data += fmt::format("{} {} {:.6g}\n", column, row, value);
    }
  if (low > high) return "";
  if (low == high) high = low + 1;
  std::string script = data + "END\n";
  script += column_tics(chart.categories);
  script += tics("y", chart.rows, "");
  script += fmt::format("set xrange [-0.5:{}]\nset yrange [{}:-0.5]\n",
                        static_cast<double>(chart.categories.size()) - 0.5,
                        static_cast<double>(chart.rows.size()) - 0.5);
  // From white to blue; the number is white where the cell is dark.
  script += fmt::format("set palette defined (0 '#ffffff', 1 '#0072b2')\nset cbrange [{}:{}]\n", low, high);
  script += "unset colorbox\nunset grid\nset border 0\nset key off\n";
  return script + fmt::format(
                      "plot $cells using 1:2:(0.48):(0.48):3 with boxxyerror fillstyle solid 1 noborder "
                      "linecolor palette, $cells using 1:2:(sprintf('%.1f',$3)):($3>{} ? 0xffffff : 0) "
                      "with labels textcolor rgb variable\n",
                      low + 0.6 * (high - low));
}

}  // namespace

std::string gnuplot_quoted(const std::string& text) {
  // Nothing is special in single quotes, and an apostrophe is joined from double ones.
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

std::string chart_script(const Chart& chart) {
  const std::vector<const Series*> shown = drawable(chart);
  std::string plot;
  if (chart.kind == Kind::Matrix) {
    plot = matrix_script(chart);
  } else if (!shown.empty()) {
    plot = chart.kind == Kind::Bars   ? bars_script(chart, shown)
           : chart.kind == Kind::Rows ? rows_script(chart, shown)
                                      : lines_script(chart, shown);
  }
  if (plot.empty()) return "";
  return kSettings +
         fmt::format("set title {}\nset xlabel {}\nset ylabel {}\n", gnuplot_quoted(chart.title),
                     gnuplot_quoted(chart.x_label), gnuplot_quoted(chart.y_label)) +
         plot;
}

}  // namespace dmoerm::study
