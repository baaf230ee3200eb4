#include "dmoerm/study/table.h"

#include <utf8proc.h>

#include <algorithm>
#include <cmath>

#include "dmoerm/core/error.h"
#include "dmoerm/text/utf8.h"

namespace dmoerm::study {
namespace {

void check(const Table& table) {
  for (size_t r = 0; r < table.rows.size(); ++r)
    if (table.rows[r].size() != table.columns.size())
      fail("table", "row {} has {} cells, expected {}", r + 1, table.rows[r].size(), table.columns.size());
}

// Columns of a terminal that the text takes.
size_t display_width(const std::string& text) {
  size_t width = 0;
  for (size_t at = 0; at < text.size();) width += utf8proc_charwidth(text::next_character(text, at));
  return width;
}

std::string shown(const Table& table, size_t row, size_t column) {
  const bool best_stands_in_column =
      std::any_of(table.rows.begin(), table.rows.end(),
                  [&](const auto& cells) { return table.is_best(&cells - table.rows.data(), column); });
  const std::string mark = table.is_best(row, column) ? "*" : best_stands_in_column ? " " : "";
  return text::repair_utf8(table.rows[row][column].text) + mark;
}

std::string aligned_line(const std::vector<std::string>& cells, const std::vector<size_t>& widths) {
  std::string line;
  for (size_t c = 0; c < cells.size(); ++c) {
    const std::string space(widths[c] - display_width(cells[c]), ' ');
    line += c == 0 ? cells[c] + space : "  " + space + cells[c];
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

}  // namespace

Cell percent_cell(std::span<const double> shares) {
  if (shares.empty()) return Cell("-");
  double mean = 0, squares = 0;
  for (const double share : shares) mean += share / static_cast<double>(shares.size());
  if (!std::isfinite(mean)) return Cell("-");
  for (const double share : shares) squares += (share - mean) * (share - mean);
  if (shares.size() == 1) return {fmt::format("{:.1f}", 100 * mean), mean};
  const double deviation = std::sqrt(squares / static_cast<double>(shares.size() - 1));
  return {fmt::format("{:.1f} ± {:.1f}", 100 * mean, 100 * deviation), mean};
}

bool Table::is_best(size_t row, size_t column) const {
  const double value = rows[row][column].value;
  size_t numbers = 0;
  for (const auto& cells : rows) {
    if (cells[column].value > value) return false;
    numbers += !std::isnan(cells[column].value);
  }
  return numbers >= 2 && !std::isnan(value);
}

std::string to_text(const Table& table) {
  check(table);
  std::vector<std::vector<std::string>> lines = {table.columns};
  for (size_t r = 0; r < table.rows.size(); ++r) {
    lines.emplace_back();
    for (size_t c = 0; c < table.columns.size(); ++c) lines.back().push_back(shown(table, r, c));
  }
  std::vector<size_t> widths(table.columns.size(), 0);
  for (const auto& line : lines)
    for (size_t c = 0; c < line.size(); ++c) widths[c] = std::max(widths[c], display_width(line[c]));
  std::vector<std::string> rule;
  for (const size_t width : widths) rule.emplace_back(width, '-');
  lines.insert(lines.begin() + 1, rule);
  std::string text;
  for (const auto& line : lines) text += aligned_line(line, widths);
  return text;
}

std::string to_html(const Table& table) {
  check(table);
  std::string html = "<div class=\"table\"><table>\n<thead><tr>";
  for (const std::string& column : table.columns)
    html += "<th scope=\"col\">" + escape_html(column) + "</th>";
  html += "</tr></thead>\n<tbody>\n";
  for (size_t r = 0; r < table.rows.size(); ++r) {
    html += "<tr>";
    for (size_t c = 0; c < table.columns.size(); ++c) {
      const std::string text = escape_html(table.rows[r][c].text);
      if (c == 0) {
        html += "<th scope=\"row\">" + text + "</th>";
      } else {
        html += (table.is_best(r, c) ? "<td class=\"best\">" : "<td>") + text + "</td>";
      }
    }
    html += "</tr>\n";
  }
  return html + "</tbody>\n</table></div>\n";
}

std::string escape_html(std::string_view text) {
  std::string escaped;
  for (const char c : text::repair_utf8(text)) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

}  // namespace dmoerm::study
