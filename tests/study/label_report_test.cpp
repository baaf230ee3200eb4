// Statistics of labels as tables.
#include "dmoerm/study/label_report.h"

#include <gmock/gmock.h>

namespace dmoerm::study {
namespace {

using ::testing::HasSubstr;

TEST(LabelReport, ShowsPointsPairsAndWarnings) {
  label::LabelStatistics statistics;
  for (const char* point : {"wit", "logic"}) {
    label::PointStatistics row{.task = "chat", .point = point};
    row.counts.labels = 10;
    row.counts.kept = 8;
    row.counts.reasons["disagree"] = 2;
    row.correlation = 0.5;
    row.nearest = "x";
    statistics.points.push_back(row);
  }
  statistics.total.labels = 20;
  statistics.pairs = {{.task = "chat", .first = "wit", .second = "logic", .both = 8, .same = 6}};
  statistics.judges = {"<judge>"};
  statistics.warnings = {"chat/wit: adds nothing"};
  const std::string text = to_text(statistics);
  EXPECT_THAT(text, HasSubstr("chat / wit"));
  EXPECT_THAT(text, HasSubstr("80.0%"));
  EXPECT_THAT(text, HasSubstr("warning: chat/wit: adds nothing"));
  EXPECT_THAT(text, HasSubstr("75.0%"));
  const std::string html = to_html(label_report(statistics));
  EXPECT_THAT(html, HasSubstr("&lt;judge&gt;"));
  EXPECT_THAT(html, HasSubstr("<td>75.0%</td>"));
  EXPECT_THAT(html, HasSubstr("adds nothing"));
}

}  // namespace
}  // namespace dmoerm::study
