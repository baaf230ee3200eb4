#include "bench/end_to_end/peer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <regex>

#include "dmoerm/core/error.h"

namespace dmoerm::bench {

std::map<std::string, PeerRow> run_peer(const std::string& program) {
  static const std::regex measurement(R"(^(.*): [0-9.]+s ([0-9,]+) tok/s MFU ([0-9.]+)%)");
  int status = 0;
  std::map<std::string, PeerRow> rows;
  {
    const auto close = [&status](FILE* pipe) { status = pclose(pipe); };
    const std::unique_ptr<FILE, decltype(close)> pipe(popen(("python3 '" + program + "' 2>&1").c_str(), "r"),
                                                      close);
    if (!pipe) fail("peer", "python3 cannot be started");
    char line[4096];
    std::cmatch match;
    while (std::fgets(line, sizeof line, pipe.get())) {
      fmt::print("    {}", line);
      if (!std::regex_search(line, match, measurement)) continue;
      std::string rate = match[2];
      std::erase(rate, ',');
      rows[match[1]] = {std::stod(rate), std::stod(match[3])};
    }
  }
  if (rows.empty()) fail("peer", "{} printed no measurement and ended with status {}", program, status);
  return rows;
}

std::string peer_cells(const std::map<std::string, PeerRow>& rows, const std::vector<std::string>& names,
                       double our_tokens_per_second) {
  const PeerRow* best = nullptr;
  for (const std::string& name : names)
    if (const auto row = rows.find(name);
        row != rows.end() && (!best || row->second.tokens_per_second > best->tokens_per_second))
      best = &row->second;
  if (!best) return " | |";
  return fmt::format(" {:.0f} ({:.0f}%) | {:.2f} |", best->tokens_per_second, best->mfu,
                     our_tokens_per_second / best->tokens_per_second);
}

}  // namespace dmoerm::bench
