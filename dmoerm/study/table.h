// A table of measurements for people: rows by columns, the best of each column marked, as text or as HTML.
#pragma once

#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace dmoerm::study {

// What stands in a cell. A cell with a number takes part in the choice of its column's best.
struct Cell {
  Cell(std::string shown = "") : text(std::move(shown)) {}
  Cell(const char* shown) : text(shown) {}
  Cell(std::string shown, double measured) : text(std::move(shown)), value(measured) {}

  std::string text;
  double value = std::numeric_limits<double>::quiet_NaN();
};

// "72.6 ± 0.4": mean and sample deviation of shares, in percent, such as the accuracies of several seeds;
// "72.6" for one, "-" for none or a NaN.
Cell percent_cell(std::span<const double> shares);
inline Cell percent_cell(double share) {
  return percent_cell(std::span(&share, 1));
}

// The first column names the rows and stands left, the others right. Higher is better.
struct Table {
  std::vector<std::string> columns;
  std::vector<std::vector<Cell>> rows;  // each as long as `columns`

  // Whether the cell shows the highest number of its column; never in a column of fewer than two numbers.
  bool is_best(size_t row, size_t column) const;
};

// Aligned columns under a rule, with the best marked by "*". Every line ends with a newline. Error for a row
// that is not as long as the columns.
std::string to_text(const Table& table);
// <table>, everything escaped, the best in class "best".
std::string to_html(const Table& table);

// & < > " ' as entities: safe as element content and as an attribute's value.
std::string escape_html(std::string_view text);

}  // namespace dmoerm::study
