// A small world with a tokenizer and the configuration of a tiny base, and the program itself run by a shell.
#pragma once

#include <sys/wait.h>

#include <cstdio>
#include <string>

#include "dmoerm/core/file.h"
#include "dmoerm/data/world_files.h"
#include "dmoerm/text/tokenizer_trainer.h"

namespace dmoerm {

// In `directory`: world/ (data::write_world), tokenizer/ and base.toml, whose base goes to base/.
inline void write_tiny_world(const fs::path& directory, const data::WorldSizes& sizes) {
  data::write_world(data::World({.seed = 5}), directory / "world", sizes);
  text::TokenizerTrainOptions tokenizer;
  tokenizer.inputs = {directory / "world" / "pretraining.txt"};
  tokenizer.output = directory / "tokenizer";
  tokenizer.vocab_size = 400;
  text::train_tokenizer(tokenizer);
  write_file_atomically(directory / "base.toml", R"(
out = "${dir}/base"
tokenizer = "${dir}/tokenizer"
token_budget = 1024
[model]
hidden_size = 16
intermediate_size = 24
layers = 2
heads = 2
[[data]]
file = "${dir}/world/pretraining.txt"
[train]
max_steps = 12
batch = 8
checkpoint_seconds = 0
[vars]
dir = ")" + directory.string() + "\"\n");
}

struct ProgramResult {
  int status = 0;
  std::string output;  // standard output
};

// `command` as the shell reads it.
inline ProgramResult run_shell(const std::string& command) {
  std::FILE* pipe = popen(command.c_str(), "r");
  ProgramResult result;
  char block[4096];
  for (size_t got; (got = std::fread(block, 1, sizeof(block), pipe)) > 0;) result.output.append(block, got);
  result.status = WEXITSTATUS(pclose(pipe));
  return result;
}

}  // namespace dmoerm
