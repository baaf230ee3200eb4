// adapter_config.json of PEFT: which layers carry a LoRA, and of which rank and scale.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "dmoerm/models/adapted_modules.h"
#include "dmoerm/models/adapter.h"
#include "dmoerm/text/regex.h"

namespace dmoerm::models {

class AdapterConfig {
 public:
  // Error, naming the option, for what is not supported. `layers`: the decoder's linear layers. The targets
  // of `options` are then the list that was read, or the modules that an expression chose.
  AdapterConfig(const std::filesystem::path& path, const std::vector<nn::LinearShape>& layers,
                const WeightNames& names = {});

  const LoraOptions& options() const { return options_; }
  const std::vector<AdaptedModule>& modules() const { return modules_; }
  const std::vector<ExpertStack>& stacks() const { return stacks_; }
  const std::string& base_model() const { return base_model_; }
  bool saves_score() const { return saves_score_; }  // modules_to_save lists the head
  // By the names of modules and stacks.
  int64_t rank_of(const std::string& name) const;
  double scale_of(const std::string& name) const;

 private:
  std::string where_, base_model_;
  LoraOptions options_;
  std::vector<AdaptedModule> modules_;
  std::vector<ExpertStack> stacks_;
  std::vector<std::pair<text::Regex, int64_t>> ranks_;
  std::vector<std::pair<text::Regex, double>> alphas_;
  bool saves_score_ = false;
};

// The modules that a list of targets means. Error when one of them means none.
std::vector<AdaptedModule> target_modules(const std::vector<std::string>& targets,
                                          const std::vector<AdaptedModule>& modules, std::string_view where);

// Error for a rank, alpha or dropout that no LoRA can have.
void check_lora(const LoraOptions& options, std::string_view where);
double lora_scale(double alpha, int64_t rank, bool rslora);

// The stacks whose parts are written together: all that target_parameters chose.
std::vector<ExpertStack> written_stacks(const Adapter& adapter);
Json adapter_config_json(const Adapter& adapter);

}  // namespace dmoerm::models
