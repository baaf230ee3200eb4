// Charts as scripts for gnuplot.
#pragma once

#include <string>

#include "dmoerm/study/chart.h"

namespace dmoerm::study {

// A gnuplot string on one line, in which nothing is special.
std::string gnuplot_quoted(const std::string& text);

// All but the terminal; "" for a chart without a finite number.
std::string chart_script(const Chart& chart);

}  // namespace dmoerm::study
