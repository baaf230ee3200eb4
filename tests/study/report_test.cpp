// Tables, charts and the HTML report.
#include "dmoerm/study/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "dmoerm/core/error.h"
#include "dmoerm/core/file.h"
#include "dmoerm/study/chart_script.h"
#include "dmoerm/study/study_report.h"

namespace dmoerm::study {
namespace {

using testing::HasSubstr;
using testing::Not;

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++found;
  return found;
}

Chart two_curves() {
  return {"Accuracy of <phase 1> & it's \"test\"",
          "steps",
          "accuracy",
          {{"train", {{0, 0.5}, {100, 0.7}, {200, 0.8}}},
           {"held-out <chat>", {{0, 0.5}, {100, 0.6}, {200, 0.65}}}}};
}

TEST(PercentCell, ShowsMeanAndSampleDeviation) {
  EXPECT_EQ(percent_cell(std::vector<double>{0.70, 0.72, 0.74}).text, "72.0 ± 2.0");  // deviation over n - 1
  EXPECT_EQ(percent_cell(0.726).text, "72.6");
  EXPECT_EQ(percent_cell(std::vector<double>{}).text, "-");
  EXPECT_EQ(percent_cell(std::nan("")).text, "-");
  EXPECT_NEAR(percent_cell(std::vector<double>{0.5, 0.7}).value, 0.6, 1e-12);
}

TEST(Table, AlignsColumnsAndMarksTheBest) {
  const Table table{{"method", "chat", "all"},
                    {{"single", percent_cell(std::vector<double>{0.72, 0.73}), percent_cell(0.7)},
                     {"größer 模型", percent_cell(0.8), percent_cell(0.65)}}};
  EXPECT_EQ(to_text(table),
            "method              chat    all\n"
            "-----------  -----------  -----\n"
            "single       72.5 ± 0.7   70.0*\n"
            "größer 模型        80.0*  65.0\n");
}

TEST(Table, MarksNothingWhereThereIsNothingToCompare) {
  const Table table{{"method", "a", "b"}, {{"x", percent_cell(0.5), "text"}, {"y", "-", "other"}}};
  EXPECT_THAT(to_text(table), Not(HasSubstr("*")));
  EXPECT_THAT(to_html(table), Not(HasSubstr("best")));
  EXPECT_EQ(to_text(Table{{"only"}, {}}), "only\n----\n");
}

TEST(Table, MarksEveryEqualBest) {
  const Table table{{"method", "a"},
                    {{"x", percent_cell(0.5)}, {"y", percent_cell(0.5)}, {"z", percent_cell(0.4)}}};
  EXPECT_EQ(count(to_text(table), "*"), 2u);
  EXPECT_EQ(count(to_html(table), "class=\"best\""), 2u);
}

TEST(Table, RefusesARowOfAnotherLength) {
  EXPECT_THROW(to_text(Table{{"a", "b"}, {{"x"}}}), Error);
  EXPECT_THROW(to_html(Table{{"a"}, {{"x", "y"}}}), Error);
}

TEST(Html, EscapesEverything) {
  EXPECT_EQ(escape_html("<a href=\"x\">'&'</a>\xff"),
            "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;\uFFFD");
  const std::string hostile = "<script>alert(1)</script>";
  const Report report{hostile,
                      hostile,
                      {{hostile,
                        hostile,
                        {{{hostile}, {{Cell(hostile)}}}},
                        {{hostile, hostile, hostile, {{hostile, {{0, 1}, {1, 2}}}}}}}}};
  EXPECT_THAT(to_html(report), Not(HasSubstr("<script")));
  EXPECT_THAT(to_html(report), HasSubstr("&lt;script&gt;"));
}

TEST(Chart, DrawsSeriesLegendAndAxisTitles) {
  const std::string svg = *draw_svg(two_curves(), "c1");
  EXPECT_TRUE(svg.starts_with("<svg"));
  EXPECT_THAT(svg, HasSubstr("</svg>"));
  for (const char* text :
       {">steps<", ">accuracy<", ">train<", "held-out &lt;chat", "Accuracy of &lt;phase 1", "it's \"test\""})
    EXPECT_THAT(svg, HasSubstr(text));
  EXPECT_THAT(svg, HasSubstr("rgb(  0, 114, 178)"));  // both curves, each in its own colour
  EXPECT_THAT(svg, HasSubstr("rgb(213,  94,   0)"));
}

TEST(Chart, DrawsASeriesBesideAnotherInItsColour) {
  Chart chart = two_curves();
  chart.series[1].beside = true;
  chart.series.push_back({"third", {{0, 1}, {1, 2}}});
  const std::string script = chart_script(chart);
  EXPECT_THAT(script, HasSubstr("$data0 using 1:2 with linespoints linetype 1 "));
  EXPECT_THAT(script, HasSubstr("$data1 using 1:2 with lines dashtype 2 linetype 1 "));
  EXPECT_THAT(script, HasSubstr("$data2 using 1:2 with linespoints linetype 2 "));
}

TEST(Chart, DrawsARowWithItsBand) {
  Chart chart{"by method", "accuracy %", ""};
  chart.kind = Chart::Kind::Rows;
  chart.rows = {"first <method>", "second"};
  chart.series = {{"", {{70, 0}, {75, 1}}, {{68, 72}, {75, 75}}}};
  const std::string svg = *draw_svg(chart, "c");
  for (const char* text : {"first &lt;method", ">second<", ">accuracy %<"}) EXPECT_THAT(svg, HasSubstr(text));
  EXPECT_EQ(count(svg, "<use xlink:href='#c_gpPt6' transform='translate("), 2u);  // one point a row
}

TEST(Chart, TurnsLongNamesOfColumns) {
  Chart chart{"m", "", ""};
  chart.kind = Chart::Kind::Matrix;
  chart.rows = {"r"};
  chart.categories = {"a", "b"};
  chart.cells = {{1, 2}};
  EXPECT_THAT(*draw_svg(chart, "c"), Not(HasSubstr("rotate(30")));
  chart.categories = {std::string(60, 'a'), std::string(60, 'b')};
  EXPECT_THAT(*draw_svg(chart, "c"), HasSubstr("rotate(30"));
}

TEST(Chart, LeavesOutWhatIsNotFinite) {
  const double nan = std::nan(""), infinite = INFINITY;
  Chart chart{"t",
              "x",
              "y",
              {{"gap", {{0, 1}, {1, nan}, {2, 3}, {infinite, 1}}}, {"nothing", {{0, nan}}}, {"empty", {}}}};
  EXPECT_THAT(*draw_svg(chart, "c"), Not(HasSubstr("nothing")));
  chart.series.erase(chart.series.begin());
  EXPECT_EQ(draw_svg(chart, "c"), "");
  EXPECT_EQ(draw_svg(Chart{}, "c"), "");
  EXPECT_THAT(*draw_svg({"one point", "x", "y", {{"s", {{5, 5}}}}}, "c"), HasSubstr("one point"));
}

TEST(Chart, KeepsTextOutOfTheScript) {
  const Chart chart{"a'\nquit\n'b", "%g {/*2 x}", "`date`", {{"' \\ $data0 @", {{0, 1}, {1, 2}}}}};
  const std::string svg = *draw_svg(chart, "c");
  for (const char* text : {"a' quit 'b", "%g {/*2 x}", "`date`", "' \\ $data0 @"})
    EXPECT_THAT(svg, HasSubstr(text));
}

TEST(Report, HasItsTablesWhereGnuplotIsMissing) {
  const Report report{"A study", "", {{"Results", "", {{{"method"}, {{Cell("first")}}}}, {two_curves()}}}};
  const std::string path = std::getenv("PATH");
  setenv("PATH", "/nonexistent", 1);
  const std::string html = to_html(report);
  setenv("PATH", path.c_str(), 1);
  EXPECT_THAT(html, HasSubstr(": not drawn, gnuplot is not installed</p>"));
  EXPECT_THAT(html, HasSubstr(">first<"));
  EXPECT_THAT(html, Not(HasSubstr("<figure")));
}

TEST(SettingCharts, VaryOneThingAtATime) {
  StudyResults results;
  for (const double noise : {0.0, 0.2})
    for (const double size : {1.0, 0.25, 0.5}) {
      SettingResult& setting = results.settings.emplace_back();
      setting.size = size;
      setting.rank_noise = noise;
      MethodResult& method = setting.methods.emplace_back(MethodResult{"dmoerm", "DMoERM", {}});
      for (const double seed : {0.0, 1.0}) {
        SetMeasures measures;
        measures.accuracy = (size - noise) / 2 + seed / 100;
        method.seeds.emplace_back().sets["test"] = measures;
      }
    }
  const std::vector<Chart> charts = setting_charts(results, "test");
  std::vector<std::string> titles;
  for (const Chart& chart : charts) titles.push_back(chart.title);
  EXPECT_THAT(titles, testing::ElementsAre("Accuracy by share of the training prompts",
                                           "Accuracy by share of the training prompts (rank noise 0.2)",
                                           "Accuracy by share of rankings turned round",
                                           "Accuracy by share of rankings turned round (size 0.25)",
                                           "Accuracy by share of rankings turned round (size 0.5)"));
  ASSERT_EQ(charts[1].series.size(), 1u);
  ASSERT_EQ(charts[1].series[0].points.size(), 3u);
  const double expected[][2] = {{0.25, 3}, {0.5, 15.5}, {1, 40.5}};  // in the axis's order
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(charts[1].series[0].points[i].first, expected[i][0]);
    EXPECT_NEAR(charts[1].series[0].points[i].second, expected[i][1], 1e-9);
  }
}

TEST(Report, IsOneFileWithDistinctIds) {
  const fs::path file = fs::path(testing::TempDir()) / "report_test" / "report.html";
  Report report{"A study", "First.\n\nSecond.", {}};
  report.sections.push_back({"Results",
                             "",
                             {{{"method", "%"}, {{"a", percent_cell(0.6)}, {"b", percent_cell(0.7)}}}},
                             {two_curves(), two_curves()}});
  report.sections.push_back({"Nothing", "", {}, {Chart{"Empty chart", "", "", {}}}});
  write_report(file, report);
  const std::string html = read_file(file);
  EXPECT_EQ(count(html, "<p>"), 3u);
  EXPECT_THAT(html, HasSubstr("Empty chart: no data"));
  EXPECT_THAT(html, HasSubstr("<td class=\"best\">70.0</td>"));
  EXPECT_EQ(count(html, "<svg"), 2u);
  EXPECT_EQ(count(html, "id='chart1_gpPt0'"), 1u);
  EXPECT_EQ(count(html, "id='chart2_gpPt0'"), 1u);
  for (const char* outside : {"src=", "href=\"http", "@import", "<link"})
    EXPECT_THAT(html, Not(HasSubstr(outside)));
  remove_tree(file.parent_path());
}

}  // namespace
}  // namespace dmoerm::study
