// dmoerm data check | stats | split | convert: what preference files hold, and new files made of them.
#include <iostream>
#include <limits>
#include <optional>

#include "apps/dmoerm/commands.h"
#include "apps/dmoerm/console.h"
#include "dmoerm/core/log.h"
#include "dmoerm/data/rewrite.h"
#include "dmoerm/data/statistics.h"

namespace dmoerm::app {
namespace {

struct DataInput {
  std::vector<std::filesystem::path> files;
  data::ReaderOptions reader;
};

std::shared_ptr<DataInput> add_input(CLI::App* command) {
  auto input = std::make_shared<DataInput>();
  command->add_option("files", input->files, "Preference files (JSONL, .gz, .zst); - is standard input")
      ->required();
  command
      ->add_option_function<std::string>(
          "--text", [input](const std::string& text) { input->reader.text_as_turn = text == "turn"; },
          "A text prompt is raw text that answers continue (raw, the default), or a user turn (turn)")
      ->check(CLI::IsMember({"raw", "turn"}));
  command->add_flag_callback(
      "--no-ranks", [input] { input->reader.require_ranks = false; },
      "Accept records without ranks, as for scoring");
  return input;
}

void add_skip_bad(CLI::App* command, const std::shared_ptr<DataInput>& input) {
  command->add_flag("--skip-bad", input->reader.skip_bad, "Count bad lines and go on instead of stopping");
}

void add_check(CLI::App* data) {
  CLI::App* command = data->add_subcommand("check", "List every bad line; exit status 1 when there is one");
  const auto input = add_input(command);
  command->footer("Example:\n  dmoerm data check train.jsonl.gz dev.jsonl.gz");
  command->callback([input] {
    const auto result = data::check_files(input->files, input->reader,
                                          [](const std::string& problem) { std::cout << problem << "\n"; });
    std::cout << fmt::format("{} good records, {} problems\n", result.records, result.problems);
    if (result.problems > 0) throw ExitStatus{1};
  });
}

void add_stats(CLI::App* data) {
  struct Options {
    std::string tokenizer, chat_format;
    bool json = false;
  };
  CLI::App* command = data->add_subcommand(
      "stats", "Counts, lengths, ties, duplicates, prompts that files share, length bias; for each task");
  const auto input = add_input(command);
  add_skip_bad(command, input);
  auto options = std::make_shared<Options>();
  command->add_option("--tokenizer", options->tokenizer, "Directory with a tokenizer: count tokens too");
  command->add_option("--chat-format", options->chat_format,
                      "For the tokens (default: the tokenizer's own template)");
  command->add_flag("--json", options->json, "Print JSON");
  command->footer("Example:\n  dmoerm data stats --tokenizer out/tokenizer train.jsonl.gz dev.jsonl.gz");
  command->callback([input, options] {
    std::optional<data::GroupEncoder> encoder;
    if (!options->tokenizer.empty()) {
      const auto tokenizer = text::Tokenizer::load(options->tokenizer);
      data::EncodeOptions encode;
      encode.max_tokens = std::numeric_limits<int32_t>::max();  // lengths as they are
      if (!options->chat_format.empty()) encode.chat_format = options->chat_format;
      encoder.emplace(tokenizer, encode);
      log().info("chat format: {}", encoder->chat_format_description());
    }
    const auto statistics =
        data::collect_statistics(input->files, input->reader, encoder ? &*encoder : nullptr);
    std::cout << (options->json ? dump_json(data::to_json(statistics), 2) + "\n" : data::to_text(statistics));
  });
}

data::SplitPart parse_part(const std::string& text) {
  const size_t equals = text.rfind('=');
  data::SplitPart part;
  if (equals == std::string::npos || equals == 0 ||
      !CLI::detail::lexical_cast(text.substr(equals + 1), part.share))
    fail("split", "found --share \"{}\", expected NAME=SHARE such as train=0.9", text);
  part.name = text.substr(0, equals);
  return part;
}

void add_split(CLI::App* data) {
  struct Options {
    std::string by = "prompt", salt = "split";
    std::vector<std::string> shares = {"train=0.9", "dev=0.1"};
    std::filesystem::path out;
  };
  CLI::App* command =
      data->add_subcommand("split", "Split by prompt: all answers to a prompt stay in one part");
  const auto input = add_input(command);
  add_skip_bad(command, input);
  auto options = std::make_shared<Options>();
  command->add_option("--by", options->by, "What stays together")
      ->check(CLI::IsMember({"prompt"}))
      ->capture_default_str();
  command->add_option("--share", options->shares, "Parts as NAME=SHARE; the shares sum to 1")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  command->add_option("--salt", options->salt, "Another salt gives another split")->capture_default_str();
  command->add_option("--out", options->out, "New directory for NAME.jsonl of each part, and split.json")
      ->required();
  command->footer(
      "Example:\n  dmoerm data split all.jsonl --share train=0.8,dev=0.1,test=0.1 --salt first --out parts");
  command->callback([input, options] {
    std::vector<data::SplitPart> parts;
    for (const std::string& share : options->shares) parts.push_back(parse_part(share));
    const data::PromptSplit split(options->salt, parts);
    const auto records = data::split_files(input->files, input->reader, split, options->out);
    for (size_t p = 0; p < parts.size(); ++p)
      std::cout << fmt::format("{}: {} records\n", (options->out / (parts[p].name + ".jsonl")).string(),
                               records[p]);
  });
}

void add_convert(CLI::App* data) {
  CLI::App* command = data->add_subcommand("convert", "Rewrite any known format in the native one");
  const auto input = add_input(command);
  add_skip_bad(command, input);
  auto out = std::make_shared<std::string>("-");
  command->add_option("--out", *out, "File to write; - is standard output")->capture_default_str();
  command->footer("Example:\n  dmoerm data convert hh.jsonl.gz --out hh-native.jsonl");
  command->callback([input, out] {
    if (*out == "-") {
      data::convert_files(input->files, input->reader, [](const std::string& line) { std::cout << line; });
      return;
    }
    AtomicFile file(*out);
    const auto records =
        data::convert_files(input->files, input->reader, [&](const std::string& line) { file.write(line); });
    file.commit();
    log().info("{}: {} records", *out, records);
  });
}

}  // namespace

void add_data_command(CLI::App& app) {
  CLI::App* data = app.add_subcommand("data", "Check, describe, split and convert preference files");
  data->require_subcommand(1);
  data->footer("Example:\n  dmoerm data check train.jsonl\n  dmoerm data stats train.jsonl dev.jsonl");
  add_check(data);
  add_stats(data);
  add_split(data);
  add_convert(data);
}

}  // namespace dmoerm::app
