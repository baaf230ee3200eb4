// dmoerm tokenizer train: a byte-level BPE tokenizer from text.
#include "apps/dmoerm/commands.h"
#include "dmoerm/text/chat_format.h"
#include "dmoerm/text/tokenizer_trainer.h"

namespace dmoerm::app {
namespace {

constexpr const char* kExample =
    "Example:\n  dmoerm tokenizer train --input books.txt.zst answers.jsonl.zst --vocab-size 8192 "
    "--chat-format chatml --out out/tokenizer";

}  // namespace

void add_tokenizer_command(CLI::App& app) {
  CLI::App* tokenizer = app.add_subcommand("tokenizer", "Work with tokenizers");
  tokenizer->require_subcommand(1);
  tokenizer->footer(kExample);

  CLI::App* train = tokenizer->add_subcommand("train", "Train a byte-level BPE tokenizer from text");
  auto options = std::make_shared<text::TokenizerTrainOptions>();
  train
      ->add_option(
          "--input", options->inputs,
          "Text or JSONL files (.txt, .jsonl, also .gz and .zst); of JSONL the texts under text, prompt, "
          "response(s), chosen, rejected, messages, completion(s), content, src and tgt")
      ->required()
      ->check(CLI::ExistingFile);
  train->add_option("--vocab-size", options->vocab_size, "Tokens in all: special ones, 256 bytes, merges")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  train
      ->add_option("--chat-format", options->chat_format,
                   "Format whose special tokens and template are included")
      ->capture_default_str()
      ->check(CLI::IsMember(text::ChatFormat::names()));
  train
      ->add_option("--max-bytes", options->max_bytes,
                   "Read no more text than this, for example 100MB (0: all)")
      ->transform(CLI::AsSizeValue(false));
  train->add_option("--out", options->output, "Directory to write")->required();
  train->footer(kExample);
  train->callback([options] { text::train_tokenizer(*options); });
}

}  // namespace dmoerm::app
