// Runs gnuplot, the plotting program of Debian's package gnuplot-nox.
#pragma once

#include <optional>
#include <string>

namespace dmoerm::study {

// What gnuplot writes to its standard output for the script; nothing when it is not installed. Error, with
// gnuplot's own line, when it fails.
std::optional<std::string> run_gnuplot(const std::string& script);

}  // namespace dmoerm::study
