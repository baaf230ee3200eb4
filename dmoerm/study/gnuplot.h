// Runs gnuplot, the plotting program of Debian's package gnuplot-nox.
#pragma once

#include <string>

namespace dmoerm::study {

// What gnuplot writes to its standard output for the script. Error, with gnuplot's own line, when it is not
// installed or fails.
std::string run_gnuplot(const std::string& script);

}  // namespace dmoerm::study
