#include "apps/dmoerm/scorer_flags.h"

#include "apps/dmoerm/run_flags.h"
#include "dmoerm/core/log.h"

namespace dmoerm::app {

void ScorerFlags::add_to(CLI::App& command) {
  command
      .add_option("--model", model, "Directory of a dmoerm model or of a Hugging Face sequence classifier")
      ->required()
      ->check(CLI::ExistingDirectory);
  command.add_option("--adapter", scorer.adapter, "PEFT adapter over a plain classifier")
      ->check(CLI::ExistingDirectory);
  command.add_option("--label", scorer.label, "Which label of a plain classifier is the reward, from 0");
  command.add_option("--chat-format", scorer.chat_format,
                     "template, chatml, qwen2, llama3, mistral, plain (default: the model's own)");
  command.add_option("--max-tokens", scorer.max_tokens, "Longest sequence (default: the model's own)")
      ->check(CLI::PositiveNumber);
  command
      .add_option("--token-budget", scorer.token_budget,
                  "Tokens computed at once (default: what suits the device); changes no reward")
      ->check(CLI::PositiveNumber);
  command
      .add_option_function<std::string>(
          "--share-prefix", [this](const std::string& value) { scorer.share_prefix = value == "on"; },
          "Compute what sequences share once (on, the default), or not (off)")
      ->check(CLI::IsMember({"on", "off"}));
  command
      .add_option_function<std::string>(
          "--pool", [this](const std::string& value) { scorer.pool_transformers = value == "transformers"; },
          "Score the last token (last, the default), or the last that is not padding (transformers)")
      ->check(CLI::IsMember({"last", "transformers"}));
  command
      .add_option_function<std::string>(
          "--text", [this](const std::string& value) { reader.text_as_turn = value == "turn"; },
          "A text prompt is raw text that answers continue (raw, the default), or a user turn (turn)")
      ->check(CLI::IsMember({"raw", "turn"}));
  command
      .add_option(
          "--base-memory", base_memory_gb,
          "GB that the bases of a model with several may take on the device; those not in use wait on the "
          "host (default: most of what is free)")
      ->check(CLI::PositiveNumber);
  RunFlags::add_runtime_flags(command, runtime);
}

std::unique_ptr<reward::RecordScorer> ScorerFlags::load() {
  scorer.load.device = init_runtime(runtime);
  scorer.load.dtype = compute_dtype(runtime, scorer.load.device);
  scorer.load.base_memory = static_cast<int64_t>(base_memory_gb * 1e9);
  return reward::load_scorer(model, scorer);
}

void warn_of_changes(const reward::RecordScorer& scorer) {
  const reward::ScorerCounts counts = scorer.counts();
  const auto& encoded = counts.encoded;
  if (encoded.prompts_cut + encoded.answers_cut > 0)
    log().warn("too long: {} prompts and {} answers of {} sequences were cut", encoded.prompts_cut,
               encoded.answers_cut, encoded.sequences);
  if (counts.unknown_tasks > 0)
    log().warn("{} records name a task that the model does not know; they were routed", counts.unknown_tasks);
}

}  // namespace dmoerm::app
