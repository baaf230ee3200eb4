#include "dmoerm/core/error.h"
#include "dmoerm/ops/cuda/ranking_loss.h"
#include "dmoerm/ops/cuda_ops.h"
#include "dmoerm/ops/launch_cuda.h"

namespace dmoerm::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class RankingLossCuda : public torch::autograd::Function<RankingLossCuda> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& reward_R, const Tensor& better_E,
                        const Tensor& worse_E, const Tensor& weight_E, const Tensor& margin_E,
                        const RankingLossOptions& options) {
    const Tensor reward = reward_R.contiguous();
    const RankingEdges edges = {better_E, worse_E, weight_E, margin_E};
    const Tensor sum = torch::empty({}, reward.options());
    const Tensor slope_2E = torch::empty({2, better_E.size(0)}, reward.options());
    check_cuda(ranking_loss_forward(problem_of(reward, edges, options), sum.data_ptr<float>(),
                                    slope_2E[0].data_ptr<float>(), slope_2E[1].data_ptr<float>(),
                                    current_stream(reward)),
               "ranking loss");
    context->save_for_backward({reward, better_E, worse_E, weight_E, margin_E, slope_2E});
    return sum;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &reward = saved[0], &slope_2E = saved[5], grad_reward = torch::empty_like(reward);
    check_cuda(ranking_loss_backward(problem_of(reward, {saved[1], saved[2], saved[3], saved[4]}, {}),
                                     slope_2E[0].data_ptr<float>(), slope_2E[1].data_ptr<float>(),
                                     grads[0].contiguous().data_ptr<float>(), grad_reward.data_ptr<float>(),
                                     current_stream(reward)),
               "ranking loss");
    return {grad_reward, Tensor(), Tensor(), Tensor(), Tensor(), Tensor()};
  }

 private:
  static RankingLoss problem_of(const Tensor& reward, const RankingEdges& edges,
                                const RankingLossOptions& options) {
    return {reward.data_ptr<float>(),
            edges.better_E.data_ptr<int64_t>(),
            edges.worse_E.data_ptr<int64_t>(),
            edges.weight_E.data_ptr<float>(),
            edges.margin_E.data_ptr<float>(),
            reward.size(0),
            edges.better_E.size(0),
            static_cast<float>(options.label_smoothing),
            static_cast<float>(options.centering)};
  }
};

}  // namespace

Tensor ranking_loss_cuda(const Tensor& reward_R, const RankingEdges& edges,
                         const RankingLossOptions& options) {
  DMOERM_ASSERT(reward_R.dim() == 1);
  for (const Tensor* part : {&edges.better_E, &edges.worse_E, &edges.weight_E, &edges.margin_E})
    DMOERM_ASSERT(part->device() == reward_R.device() && part->is_contiguous() &&
                  part->sizes() == edges.better_E.sizes());
  return RankingLossCuda::apply(reward_R, edges.better_E, edges.worse_E, edges.weight_E, edges.margin_E,
                                options);
}

}  // namespace dmoerm::ops
