#include "dmoerm/nn/rotary_frequencies.h"

#include <cmath>

#include "dmoerm/core/error.h"

namespace dmoerm::nn {
namespace {

void check_positive(std::string_view where, const char* name, double value) {
  if (!(value > 0) || !std::isfinite(value))
    fail(where, "rotary {} is {}, expected a positive number", name, value);
}

// Llama 3.1: low frequencies are divided by the factor, high ones kept, those between blended.
Tensor llama3_frequencies(const RotaryConfig& config, const Tensor& plain) {
  const Tensor wavelength = 2 * M_PI / plain;
  const double low_wavelength = config.original_max_position / config.low_freq_factor;
  const double high_wavelength = config.original_max_position / config.high_freq_factor;
  const Tensor smooth = (config.original_max_position / wavelength - config.low_freq_factor) /
                        (config.high_freq_factor - config.low_freq_factor);
  const Tensor blended = (1 - smooth) * plain / config.factor + smooth * plain;
  const Tensor scaled = torch::where(wavelength > low_wavelength, plain / config.factor, blended);
  return torch::where(wavelength < high_wavelength, plain, scaled);
}

}  // namespace

void check_rotary(const RotaryConfig& config, std::string_view where) {
  if (config.type != "default" && config.type != "linear" && config.type != "llama3")
    fail(where, "rotary type \"{}\" is not supported: expected default, linear or llama3", config.type);
  check_positive(where, "theta", config.theta);
  check_positive(where, "factor", config.factor);
  if (config.type != "llama3") return;
  check_positive(where, "low_freq_factor", config.low_freq_factor);
  check_positive(where, "high_freq_factor", config.high_freq_factor);
  check_positive(where, "original_max_position_embeddings", config.original_max_position);
  if (config.high_freq_factor <= config.low_freq_factor)
    fail(where, "rotary high_freq_factor is {}, expected more than low_freq_factor {}",
         config.high_freq_factor, config.low_freq_factor);
}

Tensor rotary_frequencies(const RotaryConfig& config, int64_t head_dim) {
  const Tensor exponents = torch::arange(0, head_dim, 2, torch::kInt64).to(torch::kFloat32) / head_dim;
  const Tensor plain = 1.0 / torch::pow(config.theta, exponents);
  if (config.type == "linear") return plain / config.factor;
  if (config.type == "llama3") return llama3_frequencies(config, plain);
  return plain;
}

}  // namespace dmoerm::nn
