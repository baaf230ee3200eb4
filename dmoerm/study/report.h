// A report of a study: one self-contained HTML file with paragraphs, tables and charts.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "dmoerm/study/chart.h"
#include "dmoerm/study/table.h"

namespace dmoerm::study {

// Texts are plain: an empty line begins a new paragraph.
struct Section {
  std::string title, text;
  std::vector<Table> tables;
  std::vector<Chart> charts;
};

struct Report {
  std::string title, intro;
  std::vector<Section> sections;
};

std::string to_html(const Report& report);
// Writes the file, and its folders, atomically. Error when a chart cannot be drawn or the file cannot be
// written.
void write_report(const std::filesystem::path& path, const Report& report);

}  // namespace dmoerm::study
