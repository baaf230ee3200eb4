// Charts of a report, drawn as SVG by gnuplot.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace dmoerm::study {

struct Series {
  std::string name = {};
  std::vector<std::pair<double, double>> points = {};  // (x, y); one that is not finite leaves a gap
  std::vector<std::pair<double, double>> bands = {};   // (low, high) of each y (Rows: x); empty: none
  bool beside = false;                                 // Lines: dashed, in the colour of the series before it
};

struct Chart {
  enum class Kind {
    Lines,   // points joined, bands shaded
    Bars,    // x is an index into `categories`; bands are error bars
    Points,  // a cloud
    Steps,   // outlines of histograms: y over the bin that begins at x
    Matrix,  // `cells`, with the number in each
    Rows,    // y is an index into `rows`: a point and its band along x in each
  };
  std::string title, x_label, y_label;
  std::vector<Series> series = {};
  Kind kind = Kind::Lines;
  std::string caption = {};                     // below the chart
  std::vector<std::string> categories = {};     // Bars: below the bars; Matrix: above its columns
  std::vector<std::string> rows = {};           // Matrix, Rows: before each
  std::vector<std::vector<double>> cells = {};  // [row][column]; not finite: left empty
  bool diagonal = false;                        // a thin line where y is x
};

// One <svg> element with title, axis titles and a legend; "" for a chart without a finite number, nothing
// where gnuplot is not installed. `id` (letters, digits, "_") keeps the names inside it apart from those of
// other charts on the page. Error when gnuplot refuses.
std::optional<std::string> draw_svg(const Chart& chart, const std::string& id);

}  // namespace dmoerm::study
