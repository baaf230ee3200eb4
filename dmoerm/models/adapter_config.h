// adapter_config.json of PEFT: which layers carry a LoRA, and of which rank and scale.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "dmoerm/models/adapter.h"
#include "dmoerm/text/regex.h"

namespace dmoerm::models {

// Modules are named in PEFT with the prefix of the model they lie in.
inline constexpr const char* kModulePrefix = "model.";

class AdapterConfig {
 public:
  // Error, naming the option, for what is not supported. `layers`: the decoder's linear layers. The targets
  // of `options` are then the list that was read, or the layers that an expression chose.
  AdapterConfig(const std::filesystem::path& path, const std::vector<nn::LinearShape>& layers);

  const LoraOptions& options() const { return options_; }
  const std::vector<nn::LinearShape>& targets() const { return targets_; }
  const std::string& base_model() const { return base_model_; }
  bool saves_score() const { return saves_score_; }  // modules_to_save lists the head
  int64_t rank_of(const std::string& layer) const;
  double scale_of(const std::string& layer) const;

 private:
  std::string where_, base_model_;
  LoraOptions options_;
  std::vector<nn::LinearShape> targets_;
  std::vector<std::pair<text::Regex, int64_t>> ranks_;
  std::vector<std::pair<text::Regex, double>> alphas_;
  bool saves_score_ = false;
};

// The layers that a list of targets means. Error when one of them means none.
std::vector<nn::LinearShape> target_layers(const std::vector<std::string>& targets,
                                           const std::vector<nn::LinearShape>& layers,
                                           std::string_view where);

// Error for a rank, alpha or dropout that no LoRA can have.
void check_lora(const LoraOptions& options, std::string_view where);
double lora_scale(double alpha, int64_t rank, bool rslora);

Json adapter_config_json(const Adapter& adapter);

}  // namespace dmoerm::models
