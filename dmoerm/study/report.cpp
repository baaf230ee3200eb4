#include "dmoerm/study/report.h"

#include "dmoerm/core/error.h"
#include "dmoerm/core/file.h"
#include "dmoerm/core/log.h"

namespace dmoerm::study {
namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; }
h1, h2 { line-height: 1.2; }
.table { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; text-align: right; white-space: nowrap; }
th:first-child { text-align: left; font-weight: normal; }
thead th { border-bottom: 2px solid; font-weight: 600; }
tbody tr { border-bottom: 1px solid #8886; }
.best { font-weight: 700; }
figure { margin: 1rem 0; }
figcaption { font-size: .9em; opacity: .8; }
figure svg { max-width: 100%; height: auto; }
@media (prefers-color-scheme: dark) { figure svg { filter: invert(1) hue-rotate(180deg); } }
)";

std::string paragraphs(const std::string& text) {
  std::string html;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find("\n\n", begin), text.size());
    if (end > begin) html += "<p>" + escape_html(text.substr(begin, end - begin)) + "</p>\n";
    begin = end + 2;
  }
  return html;
}

std::string caption_of(const Chart& chart) {
  return chart.caption.empty() ? "" : "<figcaption>" + escape_html(chart.caption) + "</figcaption>\n";
}

}  // namespace

std::string to_html(const Report& report) {
  const std::string title = escape_html(report.title);
  std::string html =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
  html += "<title>" + title + "</title>\n<style>" + kStyle + "</style>\n</head>\n<body>\n";
  html += "<h1>" + title + "</h1>\n" + paragraphs(report.intro);
  int charts = 0, missing = 0;
  for (const Section& section : report.sections) {
    html += "<h2>" + escape_html(section.title) + "</h2>\n" + paragraphs(section.text);
    for (const Table& table : section.tables) html += to_html(table);
    for (const Chart& chart : section.charts) {
      const std::optional<std::string> svg = draw_svg(chart, fmt::format("chart{}", ++charts));
      missing += !svg;
      const std::string title_of_chart = escape_html(chart.title);
      if (!svg || svg->empty())
        html += fmt::format("<p>{}: {}</p>\n", title_of_chart,
                            svg ? "no data" : "not drawn, gnuplot is not installed");
      else
        html += fmt::format("<figure role=\"img\" aria-label=\"{}\">\n{}{}</figure>\n", title_of_chart, *svg,
                            caption_of(chart));
    }
  }
  if (missing > 0)
    log().warn(
        "{} charts of the report are not drawn: gnuplot is not installed (apt-get install gnuplot-nox)",
        missing);
  return html + "</body>\n</html>\n";
}

void write_report(const std::filesystem::path& path, const Report& report) {
  const std::string html = to_html(report);
  if (path.has_parent_path()) fs::create_directories(path.parent_path());
  write_file_atomically(path, html);
}

}  // namespace dmoerm::study
