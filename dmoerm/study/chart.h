// A line chart, drawn as SVG by gnuplot.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace dmoerm::study {

struct Series {
  std::string name;
  std::vector<std::pair<double, double>> points;  // (x, y); one that is not finite leaves a gap
};

struct Chart {
  std::string title, x_label, y_label;
  std::vector<Series> series;
};

// One <svg> element with title, axis titles and a legend; "" for a chart without a finite point. `id`
// (letters, digits, "_") keeps the names inside it apart from those of other charts on the page. Error when
// gnuplot is missing or refuses.
std::string draw_svg(const Chart& chart, const std::string& id);

}  // namespace dmoerm::study
