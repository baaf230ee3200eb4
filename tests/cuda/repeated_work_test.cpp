// Work that a GPU repeats from a recording: fresh inputs, gradients, an exception on the way.
#include "dmoerm/core/repeated_work.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "dmoerm/core/error.h"

namespace dmoerm {
namespace {

class CudaRepeatedWork : public testing::Test {
 protected:
  void SetUp() override {
    if (!torch::cuda::is_available()) GTEST_SKIP() << "no GPU";
  }
};

TEST_F(CudaRepeatedWork, EveryRunReadsWhatItsInputsHold) {
  const Tensor weight = torch::randn({5, 3}, torch::kCUDA), input = torch::empty({4, 5}, torch::kCUDA);
  Tensor output, gradient;
  RepeatedWork work(torch::kCUDA, [&] {
    const Tensor leaf = weight.detach().set_requires_grad(true);
    const Tensor loss = input.mm(leaf).square().sum();
    gradient = torch::autograd::grad({loss}, {leaf})[0];
    output = loss.detach();
  });
  for (int run = 0; run < 5; ++run) {
    const Tensor x = torch::randn({4, 5}), w = torch::randn({5, 3});
    input.copy_(x);
    weight.copy_(w);
    work.run();
    EXPECT_NEAR(output.item<double>() / x.mm(w).square().sum().item<double>(), 1, 1e-5) << run;
    EXPECT_LT((gradient.cpu() - 2 * x.t().mm(x.mm(w))).abs().max().item<double>(), 1e-4) << run;
  }
}

TEST_F(CudaRepeatedWork, AnExceptionLeavesTheGpuUsable) {
  const Tensor x = torch::ones({3}, torch::kCUDA);
  Tensor sum;
  int runs = 0;
  RepeatedWork work(torch::kCUDA, [&] {
    sum = x.sum();
    if (++runs == 2) fail("test", "broke off");
  });
  work.run();
  EXPECT_THROW(work.run(), Error);
  work.run();
  EXPECT_EQ(sum.item<float>(), 3);
  x.fill_(2);
  work.run();
  EXPECT_EQ(sum.item<float>(), 6);
  EXPECT_EQ(runs, 3);  // the last was the recording
}

}  // namespace
}  // namespace dmoerm
