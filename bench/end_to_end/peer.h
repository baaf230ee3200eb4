// The peer: a Python program on Hugging Face transformers and PEFT that does the same work on the same GPU.
// It prints a line for each measurement: "NAME: 0.123s 45,678 tok/s MFU 34.5% …".
#pragma once

#include <map>
#include <string>
#include <vector>

namespace dmoerm::bench {

struct PeerRow {
  double tokens_per_second = 0, mfu = 0;  // MFU in percent
};

// Runs `python3 PROGRAM`, showing what it prints. Error when it fails or prints no measurement.
std::map<std::string, PeerRow> run_peer(const std::string& program);

// The fastest of the named rows, as a cell of the table with how many times faster `ours` is; "" where there
// is none.
std::string peer_cells(const std::map<std::string, PeerRow>& rows, const std::vector<std::string>& names,
                       double our_tokens_per_second);

}  // namespace dmoerm::bench
