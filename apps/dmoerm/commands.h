// The subcommands: each adds itself to the command line and runs one library function when chosen.
#pragma once

#include <CLI/CLI.hpp>

namespace dmoerm::app {

void add_tokenizer_command(CLI::App& app);
void add_pretrain_command(CLI::App& app);
void add_label_command(CLI::App& app);
void add_train_command(CLI::App& app);
void add_eval_command(CLI::App& app);
void add_data_command(CLI::App& app);
void add_score_command(CLI::App& app);
void add_model_command(CLI::App& app);
void add_probe_command(CLI::App& model);  // of the command above
void add_demo_command(CLI::App& app);
void add_study_command(CLI::App& app);
void add_bon_command(CLI::App& app);

}  // namespace dmoerm::app
