#include "dmoerm/study/method.h"

#include <algorithm>

#include "dmoerm/core/config.h"

namespace dmoerm::study {
namespace {

constexpr int64_t kMostExperts = 5;  // of the methods "experts_N"

std::vector<Method> make_table() {
  std::vector<Method> table = {
      {"single", "one model for all tasks", false, make_single},
      {"ensemble_mean", "ensemble of single models, mean", false, make_ensemble_mean, 0, ensemble_settings},
      {"ensemble_worst", "ensemble, worst case", false, make_ensemble_worst, 0, ensemble_settings},
      {"ensemble_uncertainty", "ensemble, uncertainty-weighted", false, make_ensemble_uncertainty, 0,
       ensemble_uncertainty_settings},
      {"per_task", "one model a task", false, make_per_task},
      {"human_only", "DMoERM, experts on human labels only", false, make_human_only},
      {"one_inner", "one inner mixture for all tasks, no router", true, make_one_inner},
      {"armorm", "ArmoRM: ridge heads on the single model's states, gated", true, make_armorm},
      {"multi_objective", "multi-objective: one base, a head a point, linear fit", true,
       make_multi_objective},
      {"sum", "sum of the experts' scores", true, make_sum},
      {"linear", "fitted linear combination of the experts' scores", true, make_linear},
  };
  for (int64_t n = 1; n <= kMostExperts; ++n)
    table.push_back({fmt::format("experts_{}", n),
                     fmt::format("DMoERM, the first {} expert{}", n, n > 1 ? "s" : ""), true, make_experts,
                     n});
  table.insert(table.end(),
               {{"random_start", "DMoERM, aggregator from a random start", true, make_random_start},
                {"soft_top2", "DMoERM, the router's two best tasks mixed", true, make_soft_top2},
                {"other_form", "DMoERM, phase 1 in the other form", true, make_other_form},
                {"warm_start", "DMoERM, from one model for all tasks", true, make_warm_start},
                {"dmoerm", "DMoERM", true, make_dmoerm}});
  return table;
}

}  // namespace

const std::vector<Method>& all_methods() {
  static const std::vector<Method> table = make_table();
  return table;
}

const Method& find_method(const std::string& name) {
  const auto found = std::ranges::find(all_methods(), name, &Method::name);
  if (found != all_methods().end()) return *found;
  std::vector<std::string> names;
  for (const Method& method : all_methods()) names.push_back(method.name);
  const std::string near = nearest(name, names);
  fail("study", "\"{}\" is no method{}; there are: {}", name,
       near.empty() ? "" : fmt::format(", did you mean \"{}\"", near), fmt::join(names, ", "));
}

}  // namespace dmoerm::study
