#include "dmoerm/nn/feed_forward.h"

#include "dmoerm/nn/activation.h"

namespace dmoerm::nn {

Tensor feed_forward(const ForwardPass& pass, const std::string& prefix, const Tensor& x_QD,
                    const Rows& rows) {
  const DecoderConfig& config = pass.config();
  if (config.gated_mlp)
    if (const Tensor both = pass.joined_linear({prefix + "gate_proj", prefix + "up_proj"}, x_QD, rows);
        both.defined())
      return pass.linear(prefix + "down_proj", gated_halves(config.activation, both), rows);
  const Tensor up_QF = pass.linear(prefix + "up_proj", x_QD, rows);
  const Tensor inner_QF = config.gated_mlp
                              ? gated(config.activation, pass.linear(prefix + "gate_proj", x_QD, rows), up_QF)
                              : activate(config.activation, up_QF);
  return pass.linear(prefix + "down_proj", inner_QF, rows);
}

}  // namespace dmoerm::nn
