// Looks inside a checkpoint: the last state and the outputs of single sequences, to compare with other
// programs.
#pragma once

#include <filesystem>
#include <functional>
#include <string_view>

#include "dmoerm/models/checkpoint.h"

namespace dmoerm::reward {

struct ProbeOptions {
  std::filesystem::path model;    // a Hugging Face directory of any kind
  std::filesystem::path adapter;  // a PEFT directory over it; empty: none
  models::LoadOptions load;
};

// For each line {"ids": [...]} or {"text": ...} of `input` (text is tokenised as it stands, with the special
// tokens that the tokenizer adds) one line {"ids", "hidden", "logits"} of the last position; a classifier has
// "scores" in place of "logits", a bare model neither. `write` gets each line with its newline. Empty lines
// are skipped; an error names the line.
void probe_file(const ProbeOptions& options, const std::filesystem::path& input,
                const std::function<void(std::string_view)>& write);

}  // namespace dmoerm::reward
